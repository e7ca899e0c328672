"""A file of answers, judged by real workers: order, broken lines, memory, and what a run that ends early leaves."""

import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from acereason.errors import UserError
from acereason.evaluation.verify.answer_rows import AnswerRow
from acereason.evaluation.verify.summary import VerifySummary
from acereason.evaluation.verify.verify_file import WINDOW_BYTES, WINDOW_ROWS, check_files, judged, verify_file
from acereason.problems.problem import Problem
from acereason.verifiers.pool import worker_process
from acereason.verifiers.pool.pool import VerifierPool
from acereason.verifiers.verifier import Verdict

PATIENCE = 60.0
FIVE = Problem("five", "math", "", answer="5")


@pytest.fixture
def burning(monkeypatch: pytest.MonkeyPatch) -> Iterator[VerifierPool]:
    """A pool whose verifier does what the answer says; see `burning_worker.py`."""
    monkeypatch.setattr(
        worker_process, "WORKER", (str(Path(__file__).parents[2] / "verifiers" / "pool" / "burning_worker.py"),)
    )
    with VerifierPool(workers=2, timeout_seconds=3.0, memory_mib=512) as pool:
        yield pool


def write_rows(path: Path, *rows: dict[str, Any] | str) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def read_back(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_line_gets_its_verdict_in_order(
    tmp_path: Path, verifiers: VerifierPool, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_rows(
        tmp_path / "in.jsonl",
        {"id": "a", "gold": "5", "pred": "5"},
        {"id": "b", "gold": 0.5, "response": r"half </think> \boxed{\frac{1}{2}}"},
        "",
        {"id": "c", "gold": 0.5, "response": "half </think> I think"},
        "{broken",
        {"id": "d", "gold": "5", "pred": 6},
        {"id": "e", "gold": "5"},
        {"id": "f", "gold": "5", "pred": ""},
    )
    summary = verify_file(source, tmp_path / "out.jsonl", verifiers, "math")
    rows = read_back(tmp_path / "out.jsonl")
    assert [row.get("id") for row in rows] == ["a", "b", "c", None, "d", "e", "f"]
    assert [row["reward"] for row in rows] == [1, 1, 0, 0, 0, 0, 0]
    assert [row["extracted"] for row in rows] == ["5", r"\frac{1}{2}", "", "", "6", "", ""]
    reasons = ["correct", "correct", "no_answer", "broken_line", "wrong", "broken_line", "empty"]
    assert [row["reason"] for row in rows] == reasons
    assert [row.get("line") for row in rows] == [None, None, None, 5, None, 7, None]
    assert (summary.rows, summary.broken, summary.mean_reward) == (7, 2, 0.4)
    assert capsys.readouterr().err.splitlines() == [
        f"{source}, line 5: {rows[3]['error']}",
        f"{source}, line 7: neither pred nor response",
    ]
    assert set(os.listdir(tmp_path)) == {"in.jsonl", "out.jsonl"}


def test_a_slow_answer_holds_up_no_other_and_keeps_its_place(tmp_path: Path, burning: VerifierPool) -> None:
    answers = ["spin", "fill", *(f"keep {i % 3}" for i in range(50)), "spin"]
    source = write_rows(tmp_path / "in.jsonl", *({"id": i, "gold": 5, "pred": a} for i, a in enumerate(answers)))
    summary = verify_file(source, tmp_path / "out.jsonl", burning, "math")
    rows = read_back(tmp_path / "out.jsonl")
    assert [row["id"] for row in rows] == list(range(53))
    assert [row["reason"] for row in rows] == ["timeout", "memory", *["correct"] * 50, "timeout"]
    assert [row["extracted"] for row in rows] == answers
    assert rows[0]["seconds"] >= 3.0
    assert summary.reasons == {"timeout": 2, "memory": 1, "correct": 50}
    # `spin`, `fill`, `keep 0`, `keep 1` and `keep 2` are judged, once each.
    assert burning.shared == 48


@pytest.mark.parametrize("size", [1, 2**20])
def test_of_an_endless_file_a_window_is_held(size: int, verifiers: VerifierPool) -> None:
    read = 0

    def rows() -> Iterator[AnswerRow]:
        nonlocal read
        for read in itertools.count(1):
            yield AnswerRow(read, size, FIVE, text=f"{read % 7}")

    for written, (row, verdict) in enumerate(itertools.islice(judged(rows(), verifiers), 10_000), start=1):
        assert row.line == written
        assert verdict.reward == (written % 7 == 5)
        assert read - written <= min(WINDOW_ROWS, WINDOW_BYTES // size + 1)


def test_a_row_larger_than_the_window_is_judged(verifiers: VerifierPool) -> None:
    row = AnswerRow(1, 2 * WINDOW_BYTES, FIVE, text="5")
    assert [verdict.reward for _, verdict in judged([row, row], verifiers)] == [1.0, 1.0]


def test_an_empty_file_gives_an_empty_one(tmp_path: Path, verifiers: VerifierPool) -> None:
    summary = verify_file(write_rows(tmp_path / "in.jsonl"), tmp_path / "out.jsonl", verifiers, "math")
    assert (tmp_path / "out.jsonl").read_bytes() == b""
    assert (summary.rows, summary.mean_reward, summary.percentile(0.5)) == (0, 0.0, 0.0)


def test_an_output_that_is_a_link_stays_one(tmp_path: Path, verifiers: VerifierPool) -> None:
    source = write_rows(tmp_path / "in.jsonl", {"gold": "5", "pred": "5"})
    (tmp_path / "link").symlink_to(write_rows(tmp_path / "earlier.jsonl", "earlier"))
    verify_file(source, tmp_path / "link", verifiers, "math")
    assert (tmp_path / "link").is_symlink()
    assert read_back(tmp_path / "earlier.jsonl")[0]["reward"] == 1.0


def test_a_disk_that_fills_up_is_told_and_leaves_what_was_there(tmp_path: Path, verifiers: VerifierPool) -> None:
    source = write_rows(tmp_path / "in.jsonl", *({"gold": "5", "pred": "5"} for _ in range(1000)))
    output = write_rows(tmp_path / "out.jsonl", "earlier")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(UserError, match=r"output=.*out.jsonl: File too large"):
            verify_file(source, output, verifiers, "math")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert output.read_text() == "earlier\n"
    assert set(os.listdir(tmp_path)) == {"in.jsonl", "out.jsonl"}


def test_files_that_cannot_work_are_refused(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "in.jsonl")
    (tmp_path / "link").symlink_to(source)
    unfinished = write_rows(tmp_path / ".out.jsonl.partial")
    for given, output, said in [
        (tmp_path / "none.jsonl", tmp_path / "out.jsonl", "no such file"),
        (tmp_path, tmp_path / "out.jsonl", "is a folder"),
        (source, tmp_path / "none" / "out.jsonl", "there is no folder"),
        (source, source, "overwrite"),
        (source, tmp_path / "link", "overwrite"),
        (unfinished, tmp_path / "out.jsonl", "overwrite"),
        (source, tmp_path, "not a file that can be replaced"),
        (source, Path("/dev/null"), "not a file that can be replaced"),
    ]:
        with pytest.raises(UserError, match=said):
            check_files(given, output)
    check_files(source, tmp_path / "out.jsonl")


@pytest.mark.parametrize(
    ("ending", "status", "left"),
    [(signal.SIGKILL, -9, {".out.jsonl.partial"}), (signal.SIGINT, 130, set())],
    ids=["SIGKILL", "SIGINT"],
)
def test_a_run_that_ends_early_leaves_no_output(
    ending: signal.Signals, status: int, left: set[str], tmp_path: Path
) -> None:
    pipe, output, partial = (tmp_path / name for name in ("in.jsonl", "out.jsonl", ".out.jsonl.partial"))
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "acereason.cli", "verify", f"input={pipe}", f"output={output}"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        with pipe.open("wb") as lines:  # more would come
            lines.write(b'{"gold": "5", "response": "no end"}\n' * 1000)
            lines.flush()
            wait_until(lambda: partial.exists() and partial.stat().st_size)
            run.send_signal(ending)
            printed, complaints = run.communicate(timeout=PATIENCE)
    finally:
        run.kill()
        run.wait()
    assert run.returncode == status
    assert set(os.listdir(tmp_path)) == {"in.jsonl"} | left
    assert printed == ""
    if ending == signal.SIGINT:
        assert complaints == f"interrupted: {output} was not written\n"


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def summary_of(*verdicts: tuple[str, float]) -> VerifySummary:
    summary = VerifySummary()
    for reason, seconds in verdicts:
        summary.add(Verdict(float(reason == "correct"), "", reason, seconds))
    return summary


def test_percentiles_are_of_the_judgements_that_were_made() -> None:
    # 100 judgements of 1, 2, … 100 ms, and 300 verdicts without one.
    summary = summary_of(*(("correct", i / 1000) for i in range(1, 101)), *[("correct", 0.0)] * 300)
    assert summary.percentile(0.5) == pytest.approx(0.050, rel=0.003)
    assert summary.percentile(0.99) == pytest.approx(0.099, rel=0.003)
    assert summary.slowest == 0.1


def test_the_table_adds_up() -> None:
    reasons = ["correct"] * 3 + ["wrong"] * 2 + ["timeout"] * 2 + ["unparsed", "no_answer", "broken_line"]
    lines = dict(summary_of(*((reason, 0.002) for reason in reasons)).lines(shared=4, elapsed=2.0))
    assert lines == {
        "rows": "10",
        "correct": "3",
        "wrong": "2",
        "no answer": "1",
        "  no_answer": "1",
        "not judged": "3",
        "  timeout": "2",
        "  unparsed": "1",
        "broken lines": "1",
        "mean reward": "0.3333",
        "judgements shared": "4",
        "median ms": "2.00",
        "99th percentile ms": "2.00",
        "slowest ms": "2.00",
        "rows a second": "5",
    }


def test_a_table_of_programs_adds_up() -> None:
    # A limit passed in a test is the program's, the same one without a test is the judge's.
    verdicts = [Verdict(1.0, "p", "passed", 0.002)] * 3
    verdicts += [Verdict(0.0, "p", reason, 0.002, 1) for reason in ("wrong_answer", "timeout", "timeout", "memory")]
    verdicts += [Verdict(0.0, "p", "syntax_error", 0.002)]
    verdicts += [Verdict(0.0, "p", reason, 0.0) for reason in ("timeout", "crashed", "no_code", "no_think_end")]
    verdicts += [Verdict(0.0, "", "broken_line", 0.0)]
    summary = VerifySummary("code")
    for verdict in verdicts:
        summary.add(verdict)
    assert summary.lines(shared=0, elapsed=1.0)[:17] == [
        ("rows", "13"),
        ("passed", "3"),
        ("failed", "5"),
        ("  timeout", "2"),
        ("  memory", "1"),
        ("  syntax_error", "1"),
        ("  wrong_answer", "1"),
        ("no program", "2"),
        ("  no_code", "1"),
        ("  no_think_end", "1"),
        ("not judged", "2"),
        ("  crashed", "1"),
        ("  timeout", "1"),
        ("broken lines", "1"),
        ("mean reward", "0.2500"),
        ("judgements shared", "0"),
        ("median ms", "2.00"),
    ]
