"""The closing table and the curves say what the rollouts and the event files say."""

from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console
from tiny_runs import Fitted, prompts, rollout
from torch.utils.tensorboard import SummaryWriter

from acereason.engines.prompt import Prompt
from acereason.evaluation.attempts import ProblemScores
from acereason.evaluation.evaluate import EvaluationResult, HeldOutResults
from acereason.evaluation.tables import improvement_table
from acereason.training.curves import print_report, read_scalars, write_curves

LEVEL_2, LEVEL_3 = prompts(2)


def group(prompt: Prompt, *rewards: float) -> list:
    return [rollout(reward, prompt=prompt) for reward in rewards]


def result(pass_at_1: float, error: float, length: float, truncated: float, groups: list) -> EvaluationResult:
    return EvaluationResult(pass_at_1, error, length, truncated, list(map(ProblemScores.of_rollouts, groups)))


BEFORE = result(0.375, 0.125, 10.0, 0.25, [group(LEVEL_2, 1, 1, 0, 0), group(LEVEL_3, 0, 1, 0, 0)])
AFTER = result(0.875, 0.0625, 21.5, 0.0, [group(LEVEL_2, 1, 1, 1, 1), group(LEVEL_3, 1, 1, 1, 0)])


def rows() -> list[list[str]]:
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(improvement_table(BEFORE, AFTER))
    lines = console.export_text().splitlines()
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]


def test_the_table_shows_before_after_and_change_by_level() -> None:
    assert (LEVEL_2.problem.level, LEVEL_3.problem.level) == (2, 3)
    assert rows() == [
        ["all", "0.375 ± 0.125", "0.875 ± 0.062", "+0.500"],
        ["level 2", "0.500", "1.000", "+0.500"],
        ["level 3", "0.250", "0.750", "+0.500"],
        ["length", "10.0", "21.5", "tokens"],
        ["truncated", "25.0%", "0.0%", ""],
    ]


def test_the_title_tells_how_much_was_asked() -> None:
    assert improvement_table(BEFORE, AFTER).title == "Held-out pass@1, 2 problems × 4 samples"


def write_events(folder: Path, values: dict[str, list[tuple[int, float]]]) -> None:
    with SummaryWriter(str(folder / "events")) as writer:
        for tag, curve in values.items():
            for step, value in curve:
                writer.add_scalar(tag, value, step)


def test_scalars_are_read_back_by_step_and_a_resumed_run_has_the_last_word(tmp_path: Path) -> None:
    write_events(tmp_path, {"reward/mean": [(1, 0.25), (2, 0.5), (3, 0.75)]})
    write_events(tmp_path, {"reward/mean": [(3, 0.5), (4, 1.0)], "eval/pass@1": [(4, 0.5)]})
    assert read_scalars(tmp_path) == {
        "reward/mean": [(1, 0.25), (2, 0.5), (3, 0.5), (4, 1.0)],
        "eval/pass@1": [(4, 0.5)],
    }


def test_the_curves_are_drawn_from_the_event_files(tmp_path: Path) -> None:
    write_events(
        tmp_path,
        {
            "reward/mean": [(1, 0.25), (2, 0.5)],
            "eval/pass@1": [(0, 0.25), (2, 0.5)],
            "eval/pass@1_standard_error": [(0, 0.1), (2, 0.1)],
            "rollout/logprob_gap_max": [(1, 1e-5), (2, 2e-5)],
        },
    )
    path = write_curves(tmp_path)
    assert path == tmp_path / "figures" / "curves.png"
    drawn = Image.open(path).convert("RGB")
    assert drawn.size == (1430, 770)
    orange, blue = (255, 127, 14), (31, 119, 180)  # held-out points and the training curve
    pixels = set(drawn.getdata())
    assert {orange, blue} <= pixels


def test_a_run_without_events_still_gets_a_figure(tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    assert Image.open(write_curves(tmp_path)).size == (1430, 770)


def test_a_real_runs_events_have_a_point_a_step(finished_run: Fitted) -> None:
    scalars = read_scalars(finished_run.folder)
    assert [step for step, _ in scalars["reward/mean"]] == [1, 2, 3, 4]
    assert [value for _, value in scalars["reward/mean"]] == pytest.approx(finished_run.recorder.of("reward/mean"))
    assert [step for step, _ in scalars["eval/pass@1"]] == [0, 2, 4]


def test_the_closing_words_name_the_figure_and_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {0: BEFORE, 20: BEFORE, 40: AFTER}
    results = {step: HeldOutResults({"math": each}) for step, each in found.items()}
    print_report(Path("runs/x"), results, Path("runs/x/figures/curves.png"))
    printed = capsys.readouterr().out
    for part in ("+0.500", "runs/x/figures/curves.png", "tensorboard --logdir runs"):
        assert part in printed


def test_one_evaluation_makes_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(Path("runs/x"), {40: HeldOutResults({"math": AFTER})}, Path("runs/x/figures/curves.png"))
    printed = capsys.readouterr().out
    assert "Held-out" not in printed
    assert "runs/x" in printed
