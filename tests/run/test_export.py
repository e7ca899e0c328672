"""A policy in Hugging Face format is the policy: its weights, its tokenizer, its end token."""

from pathlib import Path

import pytest
import torch
from tiny_runs import MODEL, Fitted, tokenizer
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from acereason.run.export import export_checkpoint, export_weights


def loaded(folder: Path | str) -> dict[str, Tensor]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


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


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    weights = loaded(MODEL)
    del weights["model.norm.weight"]
    with pytest.raises(RuntimeError, match=r"lacks weights of models/laptop: model\.norm\.weight"):
        export_weights(weights.items(), MODEL, tmp_path / "export")
    assert not (tmp_path / "export").exists()
