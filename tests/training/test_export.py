"""A policy in Hugging Face format is the policy: its weights, its tokenizer, its end token."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fresh_process import fresh_environment
from safetensors.torch import load_file
from tiny_runs import MODEL, Fitted, tokenizer
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from acereason.cli import run_command
from acereason.errors import UserError
from acereason.training.export import export_checkpoint, export_weights


def loaded(folder: Path | str) -> dict[str, Tensor]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def doubled() -> dict[str, Tensor]:
    return {name: 2 * tensor for name, tensor in loaded(MODEL).items()}


def test_an_exported_policy_loads_with_the_trained_weights(finished_run: Fitted, tmp_path: Path) -> None:
    export_weights(finished_run.policy.weights(), MODEL, tmp_path / "export")
    weights = loaded(tmp_path / "export")
    assert_same(weights, finished_run.weights())
    assert any(not torch.equal(tensor, weights[name]) for name, tensor in loaded(MODEL).items())


def test_tokenizer_chat_template_and_end_token_go_with_it(finished_run: Fitted, tmp_path: Path) -> None:
    export_weights(finished_run.policy.weights(), MODEL, tmp_path)
    exported = AutoTokenizer.from_pretrained(tmp_path)
    assert exported.chat_template == tokenizer().chat_template
    assert exported.encode("a7+5=2</think>é") == tokenizer().encode("a7+5=2</think>é")
    end = GenerationConfig.from_pretrained(tmp_path).eos_token_id
    assert end == GenerationConfig.from_pretrained(MODEL).eos_token_id == tokenizer().eos_token_id


def test_a_checkpoint_gives_the_policy_that_was_saved_in_it(finished_run: Fitted, tmp_path: Path) -> None:
    checkpoints = finished_run.folder / "checkpoints"
    export_checkpoint(checkpoints / "step-000004", MODEL, tmp_path / "last")
    assert_same(loaded(tmp_path / "last"), finished_run.weights())
    export_checkpoint(checkpoints / "step-000002", MODEL, tmp_path / "earlier")
    earlier, last = loaded(tmp_path / "earlier"), finished_run.weights()
    assert any(not torch.equal(earlier[name], last[name]) for name in last)


def test_a_checkpoint_of_two_ranks_is_exported_by_one_process(tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = Path(__file__).with_name("save_sharded.py")
    checkpoint, weights = tmp_path / "step-000001", tmp_path / "expected.safetensors"
    done = subprocess.run(
        [*launch, script, MODEL, checkpoint, weights],
        env=fresh_environment(OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert {"__0_0.distcp", "__1_0.distcp"} <= {path.name for path in checkpoint.iterdir()}
    export_checkpoint(checkpoint, MODEL, tmp_path / "export")
    expected = load_file(weights)
    assert_same(loaded(tmp_path / "export"), expected)
    assert all(not torch.equal(tensor, expected[name]) for name, tensor in loaded(MODEL).items())


def test_weights_go_to_several_files_with_an_index_when_one_would_be_too_large(tmp_path: Path) -> None:
    """The 272 × 128 × 4 bytes of the embedding are more than 100,000; it gets a file of its own."""
    weights = doubled()
    export_weights(weights.items(), MODEL, tmp_path / "export", max_shard_bytes=100_000)
    files = sorted((tmp_path / "export").glob("*.safetensors"))
    assert len(files) > 10
    assert [path.name for path in files] == [
        f"model-{i + 1:05d}-of-{len(files):05d}.safetensors" for i in range(len(files))
    ]
    sizes = [{name: tensor.nbytes for name, tensor in load_file(path).items()} for path in files]
    assert all(sum(held.values()) <= 100_000 or len(held) == 1 for held in sizes)
    index = json.loads((tmp_path / "export" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in weights.values())
    assert index["weight_map"] == {name: path.name for path, held in zip(files, sizes, strict=True) for name in held}
    assert_same(loaded(tmp_path / "export"), weights)


def test_bfloat16_halves_the_file_and_says_so_in_the_configuration(tmp_path: Path) -> None:
    weights = loaded(MODEL)
    export_weights(weights.items(), MODEL, tmp_path / "export", torch.bfloat16)
    assert_same(loaded(tmp_path / "export"), {name: tensor.bfloat16().float() for name, tensor in weights.items()})
    assert {tensor.dtype for tensor in load_file(tmp_path / "export" / "model.safetensors").values()} == {
        torch.bfloat16
    }
    config = json.loads((tmp_path / "export" / "config.json").read_text())
    assert (config["dtype"], config["architectures"]) == ("bfloat16", ["Qwen2ForCausalLM"])
    assert config["tie_word_embeddings"] is True


def test_each_tensor_may_change_once_the_next_is_asked_for(tmp_path: Path) -> None:
    weights = loaded(MODEL)
    buffer = torch.empty(max(tensor.numel() for tensor in weights.values()))

    def reused() -> Iterator[tuple[str, Tensor]]:
        for name, tensor in weights.items():
            yield name, buffer[: tensor.numel()].copy_(tensor.flatten()).view(tensor.shape)

    export_weights(reused(), MODEL, tmp_path / "export")
    assert_same(loaded(tmp_path / "export"), weights)


def test_weights_that_are_missing_unknown_twice_or_of_another_shape_are_named(tmp_path: Path) -> None:
    weights = loaded(MODEL)
    norm = weights.pop("model.norm.weight")
    bad = [
        ([], r"lacks weights of models/laptop: model\.norm\.weight"),
        ([("model.norm.weight", norm), ("model.norm.weight", norm)], r"gives model\.norm\.weight twice"),
        ([("model.norm.bias", norm)], r"models/laptop has no weight model\.norm\.bias"),
        ([("model.norm.weight", norm[:64])], r"model\.norm\.weight is \[64\], but \[128\] in models/laptop"),
    ]
    for more, message in bad:
        with pytest.raises(RuntimeError, match=message):
            export_weights([*weights.items(), *more], MODEL, tmp_path / "export")
        assert not (tmp_path / "export").exists()


def test_an_export_is_replaced_and_anything_else_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    export_weights(loaded(MODEL).items(), MODEL, folder, max_shard_bytes=100_000)
    weights = doubled()
    export_weights(weights.items(), MODEL, folder)
    assert_same(loaded(folder), weights)
    assert [path.name for path in folder.glob("*.safetensors*")] == ["model.safetensors"]
    assert list(tmp_path.iterdir()) == [folder]
    (folder / "notes.md").write_text("mine")
    with pytest.raises(UserError, match=r"holds notes\.md, which no export wrote"):
        export_weights(weights.items(), MODEL, folder)
    with pytest.raises(UserError, match="holds files, but no export"):
        export_weights(weights.items(), MODEL, Path("tests"))
    assert (folder / "notes.md").read_text() == "mine"


EXPORT_AND_WAIT = """
import sys
from pathlib import Path
from safetensors.torch import load_file
from acereason.training.export import export_weights

def weights(model):
    for number, item in enumerate(load_file(f"{model}/model.safetensors").items()):
        if number == 20:
            print("half of it is written", flush=True)
            sys.stdin.read()
        yield item

export_weights(weights(sys.argv[1]), sys.argv[1], Path(sys.argv[2]), max_shard_bytes=1)
"""


@pytest.mark.parametrize("before", ["nothing", "an export"])
def test_a_kill_leaves_what_was_there(tmp_path: Path, before: str) -> None:
    folder = tmp_path / "export"
    weights = doubled()
    if before == "an export":
        export_weights(weights.items(), MODEL, folder)
    command = [sys.executable, "-c", EXPORT_AND_WAIT, MODEL, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=fresh_environment()) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half of it is written\n"
        process.kill()
    assert len(list((tmp_path / "export.partial").glob("*.safetensors"))) == 19
    if before == "an export":
        assert_same(loaded(folder), weights)
    else:
        assert not folder.exists()
    export_weights(weights.items(), MODEL, folder)
    assert_same(loaded(folder), weights)
    assert list(tmp_path.iterdir()) == [folder]


def test_the_command_takes_a_type_and_refuses_what_is_none(finished_run: Fitted, tmp_path: Path) -> None:
    for dtype in (torch.bfloat16, torch.float16):
        name = str(dtype).removeprefix("torch.")
        run_command("export", [f"run={finished_run.folder}", f"output={tmp_path / name}", f"dtype={name}"])
        expected = {name: tensor.to(dtype).float() for name, tensor in finished_run.weights().items()}
        assert_same(loaded(tmp_path / name), expected)
    with pytest.raises(UserError, match="dtype=float64: expected one of float32, bfloat16, float16"):
        run_command("export", [f"run={finished_run.folder}", "dtype=float64"])
