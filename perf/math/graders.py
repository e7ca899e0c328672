r"""Judge the same labelled pairs of answers with our math verifier and with other graders, and compare them.

    python -m perf.math.graders PAIRS.jsonl --peer-python .venv-mv/bin/python
    python -m perf.math.graders PAIRS.jsonl --peer NAME=PYTHON:ADAPTER.py --output judgements.jsonl

A line of PAIRS has `gold`, `pred` and `equal`; rows with one of the words percent, approx or lenient in `source`,
`note` or `tag` are a matter of taste and are also counted apart. The peer is math-verify 0.9.0 in three variants
(`grader_side.py` says which), in an environment of its own, as it needs another antlr than we do:

    python3.11 -m venv .venv-mv
    .venv-mv/bin/pip install math-verify==0.9.0 latex2sympy2_extended==1.11.0
    .venv-mv/bin/pip install antlr4-python3-runtime==4.13.2 sympy==1.14.0

Any further grader is named with `--peer`: an interpreter and a file that defines `grade(gold, pred) -> bool`.

Every grader, ours too, is a process of its own that is warmed up first and killed when a judgement outlives
`--limit-seconds`; it then counts as not equal, `timeout`, with the limit as its time. Blocks of rows go through the
graders in turn, so that a slow spell of the machine hits all of them, and only one works at a time. Times are taken
inside the processes, without start and pipes. Each round uses new processes; a row's time is its median over the
rounds, its verdict that of the first. Our caches are emptied before every judgement. A reader may conclude how the
graders compare on these pairs; pairs from a grader's own tests favour that grader.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

from perf.math.grader_process import NOT_JUDGED, Grader, Judgement, Process
from perf.script import command_line, start
from perf.tables import Table

VARIANTS = ("dollars", "boxed", "relations")
TASTE = re.compile(r"\b(percent|approx|lenient)\b")
Row = dict[str, Any]


def read_pairs(path: Path) -> list[Row]:
    """Return the labelled pairs.

    Raises:
        SystemExit: a line is no pair.
    """
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        row = json.loads(line)
        if not isinstance(row.get("equal"), bool) or not all(isinstance(row.get(key), str) for key in ("gold", "pred")):
            raise SystemExit(f"{path}, line {number}: needs gold and pred as texts and equal as true or false")
        rows.append(row)
    return rows


def taste(row: Row) -> str:
    """Return the word that marks a row as a matter of taste, or nothing."""
    found = TASTE.search(" ".join(str(row.get(key, "")) for key in ("source", "note", "tag")))
    return found[1] if found else ""


def is_marked(row: Row, word: str) -> bool:
    """Return whether a row is marked with this word."""
    return taste(row) == word


def run_round(graders: Sequence[Grader], rows: list[Row], options: argparse.Namespace, number: int) -> list[list[Any]]:
    """Return one judgement of each row by each grader, in new processes; leave versions in `options.versions`."""
    judged: list[list[Any]] = [[] for _ in graders]
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(Process(grader, options.limit_seconds, options.memory_mib)) for grader in graders
        ]
        options.versions = [process.versions for process in processes]
        for turn, start in enumerate(range(0, len(rows), options.block), number):
            block = rows[start : start + options.block]
            for index in range(len(graders)):
                chosen = (index + turn) % len(graders)
                judged[chosen] += [processes[chosen].judge(row["gold"], row["pred"]) for row in block]
    return judged


def over_rounds(rounds: list[list[list[Judgement]]]) -> tuple[list[list[Judgement]], list[int]]:
    """Return each grader's judgements (first verdict, median time), and of how many rows the verdict changed."""
    merged, changed = [], []
    for of_grader in zip(*rounds, strict=True):
        by_row = list(zip(*of_grader, strict=True))
        merged.append([Judgement(row[0].equal, row[0].reason, median(each.seconds for each in row)) for row in by_row])
        changed.append(sum(len({each.equal for each in row}) > 1 for row in by_row))
    return merged, changed


def show_table(
    title: str,
    graders: Sequence[Grader],
    rows: list[Row],
    judged: list[list[Judgement]],
    wanted: Callable[[Row], bool],
) -> None:
    """Print a row for each grader, over the pairs that are wanted."""
    chosen = [index for index, row in enumerate(rows) if wanted(row)]
    if not chosen:
        return
    title = f"{title}: {len(chosen)} rows, {sum(rows[index]['equal'] for index in chosen)} of them equal"
    headings = ("accuracy", "false pos", "false neg", "killed", "mean ms", "median ms", "slowest ms")
    table = Table(title, *headings)
    for grader, judgements in zip(graders, judged, strict=True):
        some = [(judgements[index], rows[index]["equal"]) for index in chosen]
        positives = sum(judgement.equal and not equal for judgement, equal in some)
        negatives = sum(equal and not judgement.equal for judgement, equal in some)
        killed = sum(judgement.reason in NOT_JUDGED for judgement, _ in some)
        times = [1000 * judgement.seconds for judgement, _ in some]
        accuracy = 1 - (positives + negatives) / len(some)
        seconds = (f"{mean(times):.2f}", f"{median(times):.3f}", f"{max(times):.1f}")
        table.row(grader.name, f"{accuracy:.2%}", positives, negatives, killed, *seconds)


def show_mistakes(graders: Sequence[Grader], rows: list[Row], judged: list[list[Judgement]]) -> None:
    """Print our false positives and negatives, each with our reason and the graders that were right about it."""
    for title, equal in (("false positives", False), ("false negatives", True)):
        wrong = [i for i, row in enumerate(rows) if row["equal"] == equal and judged[0][i].equal != equal]
        print(f"\nour {title}: {len(wrong)}")
        for i in wrong:
            right = [g.name for g, j in zip(graders, judged, strict=True) if j[i].equal == equal]
            about = ", ".join(filter(None, (str(rows[i].get("source", "")), taste(rows[i]))))
            print(f"  row {i + 1}: gold {rows[i]['gold']!r:.100}, pred {rows[i]['pred']!r:.100}: {judged[0][i].reason}")
            print(f"      [{about}] right: {', '.join(right) or 'none'}")


def write_judgements(path: Path, graders: Sequence[Grader], rows: list[Row], judged: list[list[Judgement]]) -> None:
    """Write the rows with every grader's verdict beside them."""
    with path.open("w", encoding="utf-8") as file:
        for i, row in enumerate(rows):
            verdicts = {grader.name: vars(j[i]) for grader, j in zip(graders, judged, strict=True)}
            file.write(json.dumps({**row, "judgements": verdicts}) + "\n")


def peer(text: str) -> Grader:
    """Return the grader that is written `NAME=PYTHON:ADAPTER.py`."""
    match = re.fullmatch(r"([^=]+)=([^:]+):(.+)", text)
    if not match or not os.access(match[2], os.X_OK) or not Path(match[3]).is_file():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PYTHON:ADAPTER.py with an interpreter and a file")
    return Grader(match[1], match[2], match[3])


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = command_line(__doc__)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--peer-python", help="interpreter of the environment that has math-verify")
    parser.add_argument("--peer", type=peer, action="append", default=[], metavar="NAME=PYTHON:ADAPTER.py")
    parser.add_argument("--rounds", type=int, default=3, help="how often each row is judged by each grader")
    parser.add_argument("--block", type=int, default=25, help="rows that a grader judges at a turn")
    parser.add_argument("--limit-seconds", type=float, default=20.0, help="past it a grader is killed")
    parser.add_argument("--memory-mib", type=int, default=4096, help="address space of a grader")
    parser.add_argument("--output", type=Path, help="where to write all judgements")
    options = parser.parse_args(words)
    if options.peer_python and not os.access(options.peer_python, os.X_OK):
        parser.error(f"--peer-python {options.peer_python} is not an interpreter; --help says how to make one")
    if min(options.rounds, options.block) < 1:
        parser.error("--rounds and --block must be at least 1")
    return options


def smallest(folder: Path) -> list[str]:
    """Return the words of the smallest run, beside a grader that only compares texts."""
    pairs: list[Row] = [
        {"gold": "1", "pred": "1", "equal": True},
        {"gold": r"\frac{1}{2}", "pred": "0.5", "equal": True},
        {"gold": r"\frac{1}{2}", "pred": "0.6", "equal": False},
        {"gold": "50", "pred": r"50\%", "equal": True, "note": "percent"},
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    (folder / "same_text.py").write_text("def grade(gold, pred):\n    return gold == pred\n")
    same_text = f"same text={sys.executable}:{folder / 'same_text.py'}"
    output = str(folder / "judgements.jsonl")
    return [str(folder / "pairs.jsonl"), "--rounds", "1", "--block", "2", "--peer", same_text, "--output", output]


def main(words: Sequence[str]) -> None:
    """Judge in turn and report."""
    options = arguments(words)
    graders = [Grader("ours", sys.executable, "acereason")]
    if options.peer_python:
        graders += [Grader(f"math-verify {each}", options.peer_python, f"math-verify:{each}") for each in VARIANTS]
    else:
        print("math-verify: missing, left out; --peer-python names an interpreter that has it")
    graders += options.peer
    rows = read_pairs(options.pairs)
    judged, changed = over_rounds([run_round(graders, rows, options, number) for number in range(options.rounds)])
    print(f"{options.pairs.name}, rounds: {options.rounds}")
    for grader, versions, count in zip(graders, options.versions, changed, strict=True):
        print(f"{grader.name}: {versions}" + (f"; {count} verdicts changed between rounds" if count else ""))
    show_table("all rows", graders, rows, judged, lambda row: True)
    marks = sorted({taste(row) for row in rows} - {""})
    if marks:
        show_table("rows that are no matter of taste", graders, rows, judged, lambda row: not taste(row))
    for word in marks:
        show_table(f"rows marked {word}", graders, rows, judged, partial(is_marked, word=word))
    show_mistakes(graders, rows, judged)
    if options.output:
        write_judgements(options.output, graders, rows, judged)


if __name__ == "__main__":
    start(main, smallest)
