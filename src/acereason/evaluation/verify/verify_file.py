"""`acereason verify`: a file of answers judged by the verifiers that training uses."""

from __future__ import annotations

import contextlib
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from acereason.errors import UserError
from acereason.evaluation.verify.answer_rows import BROKEN, AnswerRow, read_rows
from acereason.evaluation.verify.summary import VerifySummary
from acereason.files import partial_path, whole_file
from acereason.problems.problem import Domain
from acereason.verifiers.pool.pool import VerifierPool
from acereason.verifiers.verifier import Verdict

WINDOW_ROWS = 4096
"""Rows read ahead of the one that is written next: a slow judgement must not leave workers idle."""
WINDOW_BYTES = 32 * 2**20
"""Most bytes of these rows; at least one row is read, however long."""


def check_files(input_path: Path, output: Path) -> None:
    """Check that the input can be read, and the output written without loss.

    Raises:
        UserError: one of them cannot.
    """
    if not input_path.exists():
        raise UserError(f"input={input_path}: no such file")
    if input_path.is_dir():
        raise UserError(f"input={input_path} is a folder; give a file of JSON lines")
    if not output.parent.is_dir():
        raise UserError(f"output={output}: there is no folder {output.parent}")
    if output.exists() and not output.is_file():
        raise UserError(f"output={output} is not a file that can be replaced")
    for written in (output, partial_path(output)):
        if written.exists() and written.samefile(input_path):
            raise UserError(f"output={output}: it would overwrite input={input_path}")


def verify_file(input_path: Path, output: Path, pool: VerifierPool, domain: Domain) -> VerifySummary:
    """Judge every line of a file and write it again with its verdict, in the same order.

    Memory does not grow with the file. The output gets its name only when it is complete.

    Raises:
        UserError: a file cannot be read or written.
    """
    summary = VerifySummary(domain)
    output = output.resolve()  # so that a link keeps its place, and its target is replaced
    try:
        with (
            whole_file(output) as beside,
            input_path.open("rb") as lines,
            beside.open("wb") as written,
            _progress(input_path) as advance,
        ):
            for row, verdict in judged(read_rows(lines, domain), pool):
                if row.error:
                    print(f"{input_path}, line {row.line}: {row.error}", file=sys.stderr)
                written.write(row.with_verdict(verdict))
                summary.add(verdict)
                advance(row.size)
    except OSError as error:
        raise UserError(f"input={input_path} output={output}: {error.strerror or error}") from error
    return summary


def judged(rows: Iterable[AnswerRow], pool: VerifierPool) -> Iterator[tuple[AnswerRow, Verdict]]:
    """Yield rows with their verdicts, in order, with at most a window of them in memory."""
    window: deque[tuple[AnswerRow, Future[Verdict]]] = deque()
    held = 0
    for row in rows:
        window.append((row, _submit(row, pool)))
        held += row.size
        while window and (window[0][1].done() or len(window) >= WINDOW_ROWS or held > WINDOW_BYTES):
            first, future = window.popleft()
            held -= first.size
            yield first, future.result()
    for row, future in window:
        yield row, future.result()


def _submit(row: AnswerRow, pool: VerifierPool) -> Future[Verdict]:
    if row.error:
        broken: Future[Verdict] = Future()
        broken.set_result(Verdict(0.0, "", BROKEN, 0.0))
        return broken
    return (pool.submit if row.is_response else pool.submit_answer)(row.problem, row.text)


@contextlib.contextmanager
def _progress(input_path: Path) -> Iterator[Callable[[int], None]]:
    """Show a bar on the terminal, if there is one: the share of the file that is judged, by bytes, and the rows."""
    total = input_path.stat().st_size or None  # a pipe has no size
    columns = (TextColumn("{task.fields[rows]:,} rows"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total, rows=0)
        rows = 0

        def advance(size: int) -> None:
            nonlocal rows
            rows += 1
            bar.update(task, advance=size, rows=rows)

        yield advance
        bar.update(task, completed=total)  # blank lines are no rows
