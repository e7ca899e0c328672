"""Times one GRPO step of ours against one of TRL's GRPOTrainer on the CPU, and prints the ratio of medians.

    python benchmarks/step_time.py --peer-python .venv-trl/bin/python

Both sides get the same policy, prompts, reward rule, learning rate and 16 prompts x 16 rollouts x 64 tokens in every
step (`hash_reward.py`); end-of-sequence is ignored so that every response has the same length, and rewards are a coin
so that no group drops out. Each side is a process of its own, and they take turns (ours, TRL, ours, TRL ...) so that a
slow spell of the machine hits both. The first steps of each process are warm-up and dropped.

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
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from hash_reward import PROMPTS_PER_STEP, RESPONSE_TOKENS, ROLLOUTS_PER_PROMPT
from transformers import AutoTokenizer

from acereason.problems.laptop import laptop_problems
from acereason.problems.prompts import prompt_text

HERE = Path(__file__).resolve().parent
LEVELS = (3, 10)
STEP_TOKENS = PROMPTS_PER_STEP * ROLLOUTS_PER_PROMPT * RESPONSE_TOKENS
STDERR_LINES_SHOWN = 15


@dataclass(frozen=True)
class Side:
    """One of the two programs: its name in the report, its interpreter and its script."""

    name: str
    python: str
    script: Path


@dataclass(frozen=True)
class Run:
    """What one process reported, warm-up dropped: seconds a step, lowest share of mixed groups, its own description."""

    seconds: list[float]
    mixed: float
    made_with: str


def write_prompts(path: Path, policy: str, steps: int) -> None:
    """Prompts of distinct laptop problems, `steps` times 16, one JSON string a line."""
    tokenizer = AutoTokenizer.from_pretrained(policy)
    problems = laptop_problems("math", "train", steps * PROMPTS_PER_STEP, LEVELS)
    path.write_text("".join(json.dumps(prompt_text(problem, tokenizer)) + "\n" for problem in problems))


def last_json_line(side: Side, stdout: str) -> dict[str, Any]:
    """The figures a side printed last.

    Raises:
        SystemExit: the last line is not a JSON object.
    """
    lines = stdout.strip().splitlines()
    try:
        figures = json.loads(lines[-1]) if lines else None
    except json.JSONDecodeError:
        figures = None
    if not isinstance(figures, dict):
        raise SystemExit(f"{side.script} must print its figures as JSON on its last line, not {lines[-1:]}")
    return figures


def check_equal_work(side: Side, figures: dict[str, Any], steps: int) -> None:
    """Both sides must have done the same number of steps with the same number of tokens.

    Raises:
        SystemExit: a key is missing, or the work differs.
    """
    missing = {"steps", "tokens", "mixed"} - figures.keys()
    if missing:
        raise SystemExit(f"{side.script} printed no {sorted(missing)}; see the docstring of trl_step.py")
    if len(figures["steps"]) != steps or figures["tokens"] != [STEP_TOKENS] * steps:
        raise SystemExit(f"{side.name} did not sample {STEP_TOKENS} tokens in each of {steps} steps: {figures}")


def run_side(side: Side, policy: str, prompts: Path, steps: int, warmup: int) -> Run:
    """Runs one side to its end in a process of its own.

    Raises:
        SystemExit: it failed or did other work than asked for.
    """
    command = [side.python, str(side.script), policy, str(prompts), str(steps)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        tail = "\n".join(done.stderr.splitlines()[-STDERR_LINES_SHOWN:])
        raise SystemExit(f"{side.name} ended with code {done.returncode}: {' '.join(command)}\n{tail}")
    figures = last_json_line(side, done.stdout)
    check_equal_work(side, figures, steps)
    return Run(figures["steps"][warmup:], min(figures["mixed"]), str(figures.get("with", "")))


def describe(seconds: list[float]) -> str:
    """Median, smallest and largest, in seconds."""
    return f"median {median(seconds):.3f} s ({min(seconds):.3f} to {max(seconds):.3f}, {len(seconds)} steps)"


def take_turns(sides: tuple[Side, Side], options: argparse.Namespace, prompts: Path) -> list[tuple[Run, Run]]:
    """Runs the sides in turn and prints each as it ends: one pair of runs a round."""
    rounds = []
    for number in range(1, options.rounds + 1):
        runs = []
        for side in sides:
            load = os.getloadavg()[0]
            run = run_side(side, options.policy, prompts, options.warmup + options.steps, options.warmup)
            print(f"round {number}, {side.name:4}: {describe(run.seconds)}, load before {load:.1f}", flush=True)
            runs.append(run)
        rounds.append((runs[0], runs[1]))
    return rounds


def report(sides: tuple[Side, Side], rounds: list[tuple[Run, Run]]) -> None:
    """Prints each side over all rounds, the ratio of the medians, and how far it moved from round to round."""
    pooled = []
    for index, side in enumerate(sides):
        runs = [pair[index] for pair in rounds]
        pooled.append([second for run in runs for second in run.seconds])
        print(f"\n{side.name}: {describe(pooled[-1])}; at least {min(r.mixed for r in runs):.0%} of groups mixed")
        print(f"  {runs[0].made_with}")
    ratios = [median(ours.seconds) / median(peer.seconds) for ours, peer in rounds]
    print(f"\nratio of medians, ours / TRL: {median(pooled[0]) / median(pooled[1]):.3f}")
    print(f"round by round: {', '.join(f'{ratio:.3f}' for ratio in ratios)}")


def arguments() -> argparse.Namespace:
    """The command line.

    Raises:
        SystemExit: a setting that cannot work.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", required=True, help="interpreter of the environment that has TRL")
    parser.add_argument("--policy", default=str(HERE.parent / "models" / "laptop"), help="model folder of both sides")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each side")
    parser.add_argument("--steps", type=int, default=12, help="steps of a process that count")
    parser.add_argument("--warmup", type=int, default=3, help="steps of a process before those")
    options = parser.parse_args()
    if min(options.rounds, options.steps) < 1 or options.warmup < 0:
        parser.error("--rounds and --steps must be at least 1, --warmup at least 0")
    if not (Path(options.policy) / "config.json").is_file():
        parser.error(f"--policy {options.policy} is not a model folder: it has no config.json")
    if not os.access(options.peer_python, os.X_OK):
        parser.error(f"--peer-python {options.peer_python} is not an interpreter; --help says how to make one")
    return options


def main() -> None:
    """Runs both sides in turn and reports."""
    options = arguments()
    sides = (
        Side("ours", sys.executable, HERE / "our_step.py"),
        Side("TRL", options.peer_python, HERE / "trl_step.py"),
    )
    with tempfile.TemporaryDirectory() as folder:
        prompts = Path(folder) / "prompts.jsonl"
        write_prompts(prompts, options.policy, options.warmup + options.steps)
        report(sides, take_turns(sides, options, prompts))


if __name__ == "__main__":
    main()
