"""Weights read from the files are those that `transformers` loads: whole or sharded, tied or not, in any layout."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from fresh_process import fresh_environment
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from acereason.config.schema import ModelConfig
from acereason.errors import UserError
from acereason.policy.model import PolicyModel

MODEL = "models/laptop"
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 16}


def tiny(
    folder: Path, rope: dict[str, Any], dtype: torch.dtype = torch.float32, kind: str = "qwen2", tied: bool = False
) -> Path:
    """A model of 261 × 24 in several files; 261 rows do not divide by 2, and 1 row leaves a rank without any."""
    config = AutoConfig.for_model(
        kind,
        vocab_size=261,
        hidden_size=24,
        intermediate_size=1,
        num_hidden_layers=2,
        num_attention_heads=3,
        num_key_value_heads=1,
        tie_word_embeddings=tied,
        max_position_embeddings=64,
        rope_parameters=rope,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).to(dtype).save_pretrained(folder, max_shard_size="13KB")
    return folder


def changed(folder: Path, **changes: torch.Tensor | None) -> Path:
    """A copy of the laptop policy with other tensors, `__` for a dot in their names; None takes one out."""
    shutil.copytree(MODEL, folder)
    tensors = load_file(folder / "model.safetensors")
    for name, tensor in changes.items():
        tensors.pop(name.replace("__", "."), None)
        if tensor is not None:
            tensors[name.replace("__", ".")] = tensor
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


def loaded(folder: Path | str) -> PolicyModel:
    return PolicyModel(ModelConfig(path=str(folder))).load("cpu")


def assert_as_transformers(folder: Path | str) -> PolicyModel:
    ours = loaded(folder)
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for tensors in ("named_parameters", "named_buffers"):
        mine, expected = dict(getattr(ours.language_model, tensors)()), dict(getattr(theirs, tensors)())
        assert mine.keys() == expected.keys()
        assert [name for name in mine if not torch.equal(mine[name], expected[name])] == []
        assert {tensor.dtype for tensor in mine.values()} == {torch.float32}
    return ours


def test_the_laptop_policy_is_loaded_to_the_last_bit() -> None:
    model = assert_as_transformers(MODEL)
    assert model.language_model.lm_head.weight is model.language_model.model.embed_tokens.weight
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in model.parameters())


@pytest.mark.parametrize(("kind", "rope"), [("llama", LLAMA3), ("qwen2", YARN)])
def test_many_bfloat16_files_an_untied_head_and_scaled_rotary_frequencies(
    tmp_path: Path, kind: str, rope: dict[str, Any]
) -> None:
    folder = tiny(tmp_path / "tiny", rope, torch.bfloat16, kind)
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    model = assert_as_transformers(folder)
    assert model.language_model.lm_head.weight is not model.language_model.model.embed_tokens.weight
    plain = 1 / 10000 ** (torch.arange(0, 8, 2) / 8)
    assert (model.language_model.model.rotary_emb.inv_freq - plain).abs().max() > 0.01


def test_a_tensor_larger_than_a_chunk_is_read_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acereason.policy.loading.CHUNK_BYTES", 3000)  # 5 of the embedding's rows, 272 = 54 × 5 + 2
    assert_as_transformers(MODEL)


def test_nothing_has_memory_before_load_and_the_random_state_is_left_alone() -> None:
    state = torch.get_rng_state()
    model = PolicyModel(ModelConfig())
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    model.load("cpu")
    assert torch.equal(state, torch.get_rng_state())


@pytest.fixture(scope="module")
def on_two_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two ranks found after loading each model over both."""
    folder = tmp_path_factory.mktemp("ranks")
    commit = "0" * 40
    hub = folder / "hub" / "models--somebody--tiny"
    tiny(hub / "snapshots" / commit, LLAMA3, tied=True)
    (hub / "refs").mkdir()
    (hub / "refs" / "main").write_text(commit)
    models = [f"{MODEL}:1", f"{MODEL}:2", f"{tiny(folder / 'untied', YARN, torch.bfloat16)}:1", "somebody/tiny:1"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = fresh_environment(HF_HUB_CACHE=str(folder / "hub"), HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")
    script = Path(__file__).with_name("sharded_loading.py")
    done = subprocess.run(
        [*launch, script, folder / "found", *models], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [
        {name.rpartition("/")[2]: facts for name, facts in json.loads(path.read_text()).items()}
        for path in sorted(folder.glob("found-*.json"))
    ]


@pytest.mark.parametrize("model", ["laptop:1", "laptop:2", "untied:1", "tiny:1"])
def test_shards_of_two_ranks_make_up_the_model_and_train_like_it(
    on_two_ranks: list[dict[str, Any]], model: str
) -> None:
    """`:1` shards over both ranks, `:2` gives each a copy; `tiny` comes from the hub's cache."""
    tied = model != "untied:1"
    for rank in on_two_ranks:
        facts = rank[model]
        assert facts.pop("gradient gap") < 1e-4
        assert facts == {
            "names": True,
            "equal": True,
            "gathered": True,
            "whole": model.endswith(":2"),
            "moved": True,
            "same objects": True,
            "tied": [tied, tied],
        }


def test_release_gives_back_what_a_forward_pass_gathered(on_two_ranks: list[dict[str, Any]]) -> None:
    for rank in on_two_ranks:
        assert rank["release"] == {"gathered": "Parameter", "released": "DTensor", "again": True}


def test_a_hub_name_that_gives_nothing_is_refused_on_every_rank(on_two_ranks: list[dict[str, Any]]) -> None:
    first, second = (rank["refusal"] for rank in on_two_ranks)
    assert first == second
    assert first.startswith("model.path=nobody/nothing: no such folder, and the hub does not provide it: ")
    assert "\n" not in first


def refusal(folder: Path) -> str:
    with pytest.raises(UserError) as error:
        loaded(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_weight_that_is_missing_of_another_shape_or_quantized_is_named(tmp_path: Path) -> None:
    message = refusal(changed(tmp_path / "a", model__norm__weight=None))
    assert message == f"model.path={tmp_path}/a: model.norm.weight is missing in its files, but config.json asks for it"
    message = refusal(changed(tmp_path / "b", model__norm__weight=torch.ones(64)))
    assert "b/model.safetensors: model.norm.weight is [64], but config.json asks for [128]" in message
    message = refusal(changed(tmp_path / "c", model__norm__weight=torch.ones(128, dtype=torch.int8)))
    assert "c/model.safetensors: model.norm.weight is of type I8" in message


def test_two_values_for_a_tied_weight_are_refused_and_equal_ones_are_not(tmp_path: Path) -> None:
    embedding = load_file(f"{MODEL}/model.safetensors")["model.embed_tokens.weight"]
    model = loaded(changed(tmp_path / "same", lm_head__weight=embedding.clone()))
    assert model.language_model.lm_head.weight is model.language_model.model.embed_tokens.weight
    assert torch.equal(model.language_model.lm_head.weight, embedding)
    message = refusal(changed(tmp_path / "other", lm_head__weight=embedding + 1))
    assert "model.embed_tokens.weight and lm_head.weight differ" in message
    assert "tie_word_embeddings" in message


def test_a_tied_weight_may_be_there_under_its_other_name(tmp_path: Path) -> None:
    embedding = load_file(f"{MODEL}/model.safetensors")["model.embed_tokens.weight"]
    folder = changed(tmp_path / "head", model__embed_tokens__weight=None, lm_head__weight=embedding.clone())
    assert torch.equal(loaded(folder).language_model.model.embed_tokens.weight, embedding)


def test_weights_without_use_are_warned_of(tmp_path: Path) -> None:
    folder = changed(tmp_path / "more", model__layers__0__self_attn__q_norm__weight=torch.ones(32))
    with pytest.warns(UserWarning, match=r"does not use: \['model\.layers\.0\.self_attn\.q_norm\.weight'\]"):
        loaded(folder)


def test_broken_and_missing_files_are_named(tmp_path: Path) -> None:
    folder = changed(tmp_path / "cut")
    whole = (folder / "model.safetensors").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"):
        (folder / "model.safetensors").write_bytes(content)
        assert f"{folder}/model.safetensors: broken or cut short" in refusal(folder)
    (folder / "model.safetensors").unlink()
    assert refusal(folder).startswith(f"model.path={folder}: has neither model.safetensors nor model.safetensors.index")
    (folder / "pytorch_model.bin").touch()
    assert "has only pytorch_model.bin" in refusal(folder)
    assert "save_pretrained" in refusal(folder)


def test_an_index_that_does_not_fit_its_files_is_refused(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "tiny", YARN)
    index = folder / "model.safetensors.index.json"
    last = max(folder.glob("model-*.safetensors"))
    names = json.loads(index.read_text())
    names["weight_map"]["model.norm.weight"] = "model-00001-of-00099.safetensors"
    index.write_text(json.dumps(names))
    assert "names model-00001-of-00099.safetensors, which is missing" in refusal(folder)
    names["weight_map"]["model.norm.weight"] = min(folder.glob("model-*.safetensors")).name
    index.write_text(json.dumps(names))
    assert "model.norm.weight" in refusal(folder)
    names["weight_map"]["model.norm.weight"] = last.name
    index.write_text(json.dumps(names)[:-9])
    assert "model.safetensors.index.json: broken index" in refusal(folder)


def test_a_configuration_that_transformers_does_not_know_is_refused(tmp_path: Path) -> None:
    folder = changed(tmp_path / "new")
    (folder / "config.json").write_text(json.dumps({"model_type": "next_year"}))
    message = refusal(folder)
    assert message.startswith(f"model.path={folder}: transformers cannot build this model: ")
    assert "next_year" in message
