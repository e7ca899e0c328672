"""A pretrained model learns word problems: held-out pass@1 before, after a warm start, and after RL.

    python -m perf.training.word_problems model=FOLDER [--seeds 3] [--arms float32,bfloat16+token_cap] [KEY=VALUE ...]

For each seed the model is warm-started once in float32 (`scripts/warm_start.py`), on few solutions so that RL has
something left to do; each arm then trains from there with `recipe=word_problems`. An arm is the type of policy and
engine, and after a plus a correction of the mismatch between them (`grpo.correction`). Words KEY=VALUE go to all runs,
and those of `warm_start` to the warm starts. Every run is a process of its own; runs and logs stay in --folder.

Printed are pass@1 with its standard error over problems, what RL added to the warm start, the log-prob gap between
engine and policy (mean over tokens: median and largest over steps), wall times, the median step and where it goes, and
the most memory that the process held. The last rows have means over seeds, with the standard deviation.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from statistics import mean, median, stdev

from acereason.training.build import quiet
from acereason.training.curves import Curve, read_scalars
from perf.script import ROOT, command_line, start
from perf.tables import Table
from perf.trainings import SMALLEST, end_of

RECIPE = "recipe=word_problems"
WARM_START = (
    *("warm_start.max_steps=16", "warm_start.solutions_per_step=16", "warm_start.warmup_steps=2"),
    "warm_start.learning_rate=1e-4",
)
"""Few solutions: the model learns the form and to stop, and still makes mistakes."""
TYPES = ("model.compute_dtype", "engine.dtype")
TIMES = ("time/generate", "time/train", "time/sync")


@dataclass(frozen=True)
class Cost:
    """What a process took: wall time in seconds, and the most memory it held, GiB."""

    seconds: float
    gib: float


@dataclass(frozen=True)
class Outcome:
    """What one run of an arm gave; the rates are held-out pass@1."""

    before: float
    warm: float
    after: float

    @property
    def gain(self) -> float:
        """What RL added to the warm start."""
        return self.after - self.warm


def run(program: Sequence[str], words: Sequence[str], log: Path) -> Cost:
    """Run a program of this repository to its end, its output in `log`.

    Raises:
        SystemExit: it failed; with the end of what it printed.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))}
    started = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *program, *words], cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(end_of(log))
    return Cost(time.perf_counter() - started, usage.ru_maxrss / 2**20)


def arm_words(arm: str) -> list[str]:
    """Return the settings of an arm such as `bfloat16+token_cap`."""
    kind, _, correction = arm.partition("+")
    return [*(f"{key}={kind}" for key in TYPES), *([f"grpo.correction={correction}"] if correction else [])]


def rate(results: dict[str, float]) -> str:
    """Return pass@1 with its standard error."""
    return f"{results['eval/pass@1']:.3f} ± {results['eval/pass@1_standard_error']:.3f}"


def at_step(scalars: dict[str, Curve], place: int) -> dict[str, float]:
    """Return the results of the evaluation at a place among all, such as the first or the last."""
    return {tag: curve[place][1] for tag, curve in scalars.items() if tag.startswith("eval/")}


def train_arm(
    table: Table, name: str, before: dict[str, float], warm: Cost, words: Sequence[str], folder: Path
) -> Outcome:
    """Train one arm, print its row and return its outcome."""
    root = folder.parent
    cost = run(["train.py"], [RECIPE, *words, f"run.root={root}", f"run.name={folder.name}"], root / f"{name}.log")
    scalars = read_scalars(folder)
    first, last = at_step(scalars, 0), at_step(scalars, -1)
    outcome = Outcome(before["eval/pass@1"], first["eval/pass@1"], last["eval/pass@1"])
    gaps = [gap for _, gap in scalars.get("rollout/logprob_gap_mean", [])] or [nan]  # none where nothing was computed
    parts = [median(value for _, value in scalars[tag]) for tag in ("time/step", *TIMES)]
    table.row(
        name,
        rate(before),
        rate(first),
        rate(last),
        f"{outcome.gain:+.3f}",
        f"{median(gaps):.1e}",
        f"{max(gaps):.1e}",
        f"{warm.seconds:.0f}",
        f"{cost.seconds:.0f}",
        f"{parts[0]:.1f}",
        " + ".join(f"{part:.1f}" for part in parts[1:]),
        f"{warm.gib:.1f}",
        f"{cost.gib:.1f}",
    )
    return outcome


COLUMNS = (
    *("before", "warm start", "after RL", "RL adds", "median gap", "largest gap", "warm start s", "RL s", "step s"),
    *("generate + train + sync s", "warm GiB", "RL GiB"),
)


def spread(values: Sequence[float], form: str = ".3f") -> str:
    """Return the mean, and the standard deviation over seeds if there are several."""
    return f"{mean(values):{form}}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")


def measure(options: argparse.Namespace, model: str, words: Sequence[str], root: Path) -> None:
    """Run everything and print the table."""
    arms = options.arms.split(",")
    plain = [word for word in words if not word.startswith("warm_start.")]
    table = Table(f"word problems, {model}: held-out pass@1", *COLUMNS, first=28)
    outcomes: dict[str, list[Outcome]] = {arm: [] for arm in arms}
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        base = [RECIPE, f"model.path={model}", f"seed={seed}", *arm_words("float32")]
        log = root / f"before-{seed}.log"
        run(["-m", "perf.training.pass_at_one_side"], [*base, *plain], log)
        before = json.loads(log.read_text().strip().splitlines()[-1])
        started = root / f"warm-{seed}"
        own = [*WARM_START, f"warm_start.output={started}"]
        warm = run(["scripts/warm_start.py"], [*base, *own, *words], root / f"{started.name}.log")
        for arm in arms:
            own = [f"model.path={started}", f"seed={seed}", "log.progress_bar=false", "checkpoint.export=false"]
            name = f"{arm}, seed {seed}"
            outcome = train_arm(table, name, before, warm, [*own, *arm_words(arm), *plain], root / f"{arm}-{seed}")
            outcomes[arm].append(outcome)
    for arm, found in outcomes.items():
        rates = [[each.before for each in found], [each.warm for each in found], [each.after for each in found]]
        gains = spread([each.gain for each in found], "+.3f")
        table.row(f"{arm}, {len(found)} seed(s)", *map(spread, rates), gains, *[""] * (len(COLUMNS) - 4))


def smallest(folder: Path) -> list[str]:
    """Write a tiny random model that spells bytes, and return the words of the smallest run."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    quiet()
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "models" / "laptop")
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=1024,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    few = ("problems.count=16", "problems.held_out=2", "trainer.max_steps=1", "evaluation.max_response_tokens=16")
    learning = ("warm_start.max_steps=2", "warm_start.solutions_per_step=4")
    return [f"model={folder}", "--seeds", "1", "--arms", "bfloat16", *SMALLEST, *few, *learning]


def main(words: Sequence[str]) -> None:
    """Measure and print."""
    parser = command_line(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--arms", default="float32", help="comma-separated TYPE or TYPE+CORRECTION")
    parser.add_argument("--folder", help="keep runs and logs there; a temporary folder if not given")
    parser.add_argument("words", nargs="*")
    options = parser.parse_intermixed_args(words)
    models = [word.removeprefix("model=") for word in options.words if word.startswith("model=")]
    if len(models) != 1:
        parser.error("give model=FOLDER, or a hub name, once")
    passed = [word for word in options.words if not word.startswith("model=")]
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(options.folder or temporary).absolute()
        root.mkdir(parents=True, exist_ok=True)
        measure(options, models[0], passed, root)


if __name__ == "__main__":
    start(main, smallest)
