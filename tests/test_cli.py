"""The `acereason` command: what it does with a run, and one line when it cannot."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny_runs import Fitted
from transformers import AutoModelForCausalLM

from acereason.cli import USAGE, main


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["acereason", *map(str, words)])
    return main()


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_usage(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, *words) == 0
    assert capsys.readouterr().out == USAGE
    assert "acereason export" in USAGE
    assert "acereason report" in USAGE


BAD = [
    (["exprt", "run=x"], ["exprt", "export, report"]),
    (["export"], ["run=", "missing"]),
    (["export", "run=nowhere"], ["run=nowhere", "config.yaml"]),
    (["report", "run=src"], ["run=src", "config.yaml"]),
    (["report", "nowhere"], ["nowhere", "run="]),
    (["report", "run=src", "ckpt=last"], ["ckpt=last", "run="]),
    (["export", "run=src", "folder=x"], ["folder=x", "run=", "ckpt=", "output="]),
    (["export", "run={run}", "ckpt=step-7"], ["ckpt=step-7", "no such folder"]),
    (["export", "run={run}", "ckpt="], ["ckpt=", "missing"]),
]


@pytest.mark.parametrize(("words", "said"), BAD, ids=lambda value: " ".join(value))
def test_what_cannot_work_is_one_line_and_exit_code_2(
    words: list[str],
    said: list[str],
    finished_run: Fitted,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, *(word.format(run=finished_run.folder) for word in words)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    [line] = printed.err.splitlines()
    assert line.startswith("error: ")
    assert all(part in line for part in said), line


def test_export_writes_the_newest_checkpoint(
    finished_run: Fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "export", f"run={finished_run.folder}", f"output={tmp_path}/policy") == 0
    assert "step-000004" in capsys.readouterr().out
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "policy", dtype=torch.float32)
    expected = finished_run.weights()
    assert all(torch.equal(parameter, expected[name]) for name, parameter in model.named_parameters())


def test_export_takes_any_checkpoint_and_names_the_folder_after_it(
    finished_run: Fitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = finished_run.folder / "checkpoints" / "step-000002"
    assert run(monkeypatch, "export", f"run={finished_run.folder}", f"ckpt={earlier}") == 0
    assert (finished_run.folder / "export-step-000002" / "model.safetensors").exists()


def test_report_draws_the_curves_again(
    finished_run: Fitted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = finished_run.folder / "figures" / "curves.png"
    figure.unlink(missing_ok=True)
    assert run(monkeypatch, "report", f"run={finished_run.folder}") == 0
    assert capsys.readouterr().out.strip() == str(figure)
    assert Image.open(figure).size[0] > 800
