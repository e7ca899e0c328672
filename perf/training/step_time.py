"""Time one GRPO step of ours against one of TRL's GRPOTrainer on the CPU, and print the ratio of medians.

    python -m perf.training.step_time --peer-python .venv-trl/bin/python

Both sides get the same policy, prompts, reward rule, learning rate and, unless told otherwise, 16 prompts x 16
rollouts x 64 tokens in every step (`equal_work.py`); end-of-sequence is ignored so that every response has the same
length, and rewards are a coin so that no group drops out. With `--natural` responses end where the policy ends them:
both sides sample from the same policy, so their lengths agree on average, and tokens a step are printed. Each side is
a process of its own, and they take turns (ours, TRL, ours, TRL ...) so that a slow spell of the machine hits both.
The first steps of each process are warm-up and dropped. Without `--peer-python` only our side runs.

The peer needs an environment of its own, as its transformers is newer than ours:

    python3.11 -m venv .venv-trl
    .venv-trl/bin/pip install torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu
    .venv-trl/bin/pip install trl==1.16.0 transformers==5.23.0 accelerate==1.15.0 datasets==5.2.0

Without that index PyPI's torch works as well; it only brings CUDA libraries that are not used.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from transformers import AutoTokenizer

from acereason.problems.laptop import laptop_problems
from acereason.problems.prompts import prompt_text
from perf.script import ROOT, command_line, start
from perf.tables import Table
from perf.training.equal_work import LEVELS, Work

STDERR_LINES_SHOWN = 15


@dataclass(frozen=True)
class Side:
    """One of the two programs: its name in the report, and its command line without the work."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """What one process reported, warm-up dropped.

    Attributes:
        seconds: of each step.
        tokens: sampled in each step.
        mixed: lowest share of mixed groups.
        made_with: its own description.
    """

    seconds: list[float]
    tokens: list[int]
    mixed: float
    made_with: str


def write_prompts(path: Path, policy: str, work: Work) -> None:
    """Write the prompts of distinct laptop problems, enough for all steps, one JSON string a line."""
    tokenizer = AutoTokenizer.from_pretrained(policy)
    problems = laptop_problems("math", "train", work.steps * work.prompts, LEVELS)
    path.write_text("".join(json.dumps(prompt_text(problem, tokenizer)) + "\n" for problem in problems))


def last_json_line(side: Side, stdout: str) -> dict[str, Any]:
    """Return the figures a side printed last.

    Raises:
        SystemExit: the last line is not a JSON object.
    """
    lines = stdout.strip().splitlines()
    try:
        figures = json.loads(lines[-1]) if lines else None
    except json.JSONDecodeError:
        figures = None
    if not isinstance(figures, dict):
        raise SystemExit(f"{side.name} must print its figures as JSON on its last line, not {lines[-1:]}")
    return figures


def check_equal_work(side: Side, figures: dict[str, Any], work: Work) -> None:
    """Refuse a side that has not done the number of steps with the number of tokens that both must do.

    Raises:
        SystemExit: a key is missing, or the work differs.
    """
    missing = {"steps", "tokens", "mixed"} - figures.keys()
    if missing:
        raise SystemExit(f"{side.name} printed no {sorted(missing)}; see the docstring of trl_side.py")
    if len(figures["steps"]) != work.steps or not work.is_done(figures["tokens"]):
        raise SystemExit(
            f"{side.name} did not sample {work.step_tokens} tokens in each of {work.steps} steps: {figures}"
        )


def run_side(side: Side, work: Work, warmup: int) -> Run:
    """Run one side to its end in a process of its own.

    Raises:
        SystemExit: it failed or did other work than asked for.
    """
    command = [*side.command, work.text()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        tail = "\n".join(done.stderr.splitlines()[-STDERR_LINES_SHOWN:])
        raise SystemExit(f"{side.name} ended with code {done.returncode}: {' '.join(command)}\n{tail}")
    figures = last_json_line(side, done.stdout)
    check_equal_work(side, figures, work)
    with_what = str(figures.get("with", ""))
    return Run(figures["steps"][warmup:], figures["tokens"][warmup:], min(figures["mixed"]), with_what)


def described(seconds: list[float]) -> list[str]:
    """Return median, smallest and largest, in seconds."""
    return [f"{value:.3f}" for value in (median(seconds), min(seconds), max(seconds))]


def take_turns(sides: Sequence[Side], work: Work, options: argparse.Namespace) -> list[list[Run]]:
    """Run the sides in turn and print each as it ends; return each side's runs."""
    length = f"up to {work.tokens}" if work.natural else work.tokens
    size = f"{work.prompts} prompts x {work.rollouts} rollouts x {length} tokens"
    title = f"seconds of a step of {size}: {options.steps} steps after {options.warmup} of warm-up"
    table = Table(title, "median", "fastest", "slowest", "tokens a step", "mixed groups", "load before")
    runs: list[list[Run]] = [[] for _ in sides]
    for number in range(1, options.rounds + 1):
        for side, of_side in zip(sides, runs, strict=True):
            load = os.getloadavg()[0]
            of_side.append(run_side(side, work, options.warmup))
            run = of_side[-1]
            row = *described(run.seconds), f"{mean(run.tokens):,.0f}", f"{run.mixed:.0%}", f"{load:.1f}"
            table.row(f"round {number}, {side.name}", *row)
    for side, of_side in zip(sides, runs, strict=True):
        pooled = described([second for run in of_side for second in run.seconds])
        tokens = f"{mean(count for run in of_side for count in run.tokens):,.0f}"
        table.row(f"all rounds, {side.name}", *pooled, tokens, f"{min(run.mixed for run in of_side):.0%}", "")
    for side, of_side in zip(sides, runs, strict=True):
        print(f"{side.name}: {of_side[0].made_with}")
    return runs


def show_ratio(ours: list[Run], theirs: list[Run]) -> None:
    """Print the ratio of the medians over all rounds, and how far it moved from round to round."""
    pooled = [median(second for run in runs for second in run.seconds) for runs in (ours, theirs)]
    ratios = [median(our.seconds) / median(their.seconds) for our, their in zip(ours, theirs, strict=True)]
    print(f"\nratio of medians, ours / TRL: {pooled[0] / pooled[1]:.3f}")
    print(f"round by round: {', '.join(f'{ratio:.3f}' for ratio in ratios)}")


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line.

    Raises:
        SystemExit: a setting that cannot work.
    """
    parser = command_line(__doc__)
    parser.add_argument("--peer-python", help="interpreter of the environment that has TRL")
    parser.add_argument("--policy", default=str(ROOT / "models" / "laptop"), help="model folder of both sides")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each side")
    parser.add_argument("--steps", type=int, default=12, help="steps of a process that count")
    parser.add_argument("--warmup", type=int, default=3, help="steps of a process before those")
    parser.add_argument("--prompts", type=int, default=16, help="prompts of a step")
    parser.add_argument("--rollouts", type=int, default=16, help="rollouts of a prompt")
    parser.add_argument("--tokens", type=int, default=64, help="tokens of a response")
    parser.add_argument("--natural", action="store_true", help="let responses end before --tokens")
    options = parser.parse_args(words)
    if min(options.rounds, options.steps) < 1 or options.warmup < 0:
        parser.error("--rounds and --steps must be at least 1, --warmup at least 0")
    if not (Path(options.policy) / "config.json").is_file():
        parser.error(f"--policy {options.policy} is not a model folder: it has no config.json")
    if options.peer_python and not os.access(options.peer_python, os.X_OK):
        parser.error(f"--peer-python {options.peer_python} is not an interpreter; --help says how to make one")
    options.policy = str(Path(options.policy).resolve())
    return options


def smallest(folder: Path) -> list[str]:
    """Return the words of the smallest run."""
    return [
        *("--rounds", "1", "--steps", "1", "--warmup", "1"),
        *("--prompts", "4", "--rollouts", "4", "--tokens", "8"),
    ]


def main(words: Sequence[str]) -> None:
    """Run both sides in turn and report."""
    options = arguments(words)
    work = Work(options.warmup + options.steps, options.prompts, options.rollouts, options.tokens, options.natural)
    sides = [Side("ours", (sys.executable, "-m", "perf.training.our_side", options.policy))]
    with tempfile.TemporaryDirectory() as folder:
        if options.peer_python:
            prompts = Path(folder) / "prompts.jsonl"
            write_prompts(prompts, options.policy, work)
            command = (options.peer_python, "-m", "perf.training.trl_side", options.policy, str(prompts))
            sides.append(Side("TRL", command))
        else:
            print("TRL: missing, left out; --peer-python names an interpreter that has it")
        runs = take_turns(sides, work, options)
    if options.peer_python:
        show_ratio(*runs)


if __name__ == "__main__":
    start(main, smallest)
