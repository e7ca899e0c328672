"""Kill a run with a whole curriculum in each of its stages, and compare it with one that is left alone.

    python -m perf.resume.curriculum_kills [--ranks 2] [--kills 10] [--seed 0] [KEY=VALUE ...]

Four stages (math, longer math on hard prompts, code in the sandbox, math again) that end by steps, epochs and a
plateau, with refilters of all three kinds, a sampling schedule, longer responses at a plateau of the evaluation, an
entropy monitor that holds a target, warm-up, and a fresh optimizer for each stage. All processes of the run get SIGKILL
at once: at the end of a stage while it is evaluated, exported or saved, in the middle of a refilter, while the final
policy is exported, and at random in each stage. `ckpt=auto` resumes. At the end everything that `compare_runs.py`
compares must be exactly that of a run that is left alone, which trains at the same time.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from perf.resume.killing import Moment, Run, report, run_with_kills
from perf.script import command_line, start

STAGES = {"short": 3, "longer": 6, "code": 6, "longest": 4}
"""Stages, and after how many of their steps they are killed at the latest."""
SETTINGS = """\
recipe=laptop_math
trainer.accelerator=cpu
trainer.max_steps=100
problems.levels=[2,3]
problems.count=24
problems.held_out=4
more_problems.code.path=laptop
more_problems.code.domain=code
more_problems.code.levels=[2,4]
more_problems.code.count=16
more_problems.code.held_out=4
curriculum.prompts_per_step=4
curriculum.rollouts_per_prompt=4
optimizer.warmup_steps=3
engine.max_num_seqs=16
evaluation.samples_per_problem=2
evaluation.every_n_steps=4
checkpoint.every_n_steps=1
log.progress_bar=false
callbacks.stages.class_path=callbacks.stage_switch.StageSwitch
callbacks.hard.class_path=callbacks.hard_prompt_refilter.HardPromptRefilter
callbacks.hard.init_args={mode: measure, stages: [longer], attempts: 8, keep_solved_at_most: 3}
callbacks.solved.class_path=callbacks.hard_prompt_refilter.HardPromptRefilter
callbacks.solved.init_args={mode: rollouts, stages: [code]}
callbacks.known.class_path=callbacks.hard_prompt_refilter.HardPromptRefilter
callbacks.known.init_args={mode: known, stages: [longest], attempts: 8, keep_solved_at_most: 2}
callbacks.lengths.class_path=callbacks.length_extension.LengthExtension
callbacks.lengths.init_args={stages: [longest], lengths: [72], plateau: {metric: eval/math_pass@1, patience: 1}}
callbacks.sampling.class_path=callbacks.sampling_schedule.SamplingSchedule
callbacks.sampling.init_args={stages: [code], points: [{at: 1, temperature: 0.9, rollouts_per_prompt: 6}]}
callbacks.entropy.class_path=callbacks.entropy_monitor.EntropyMonitor
callbacks.entropy.init_args={target: 0.3, baseline_steps: 2, window: 3, cooldown: 2}
""".splitlines()


def curriculum(learning_rate: float) -> list[str]:
    """Return the settings of the run; stages have one or two times the learning rate."""
    plateau = "{metric: reward/mean, patience: 3, window: 2}"
    stages = [
        "name: short, domain: math, max_response_tokens: 32, ends: {steps: 5}",
        f"name: longer, max_response_tokens: 48, learning_rate: {2 * learning_rate}, ends: {{epochs: 2}}",
        "name: code, domain: code, max_response_tokens: 40, temperature: 0.8, ends: {steps: 8}",
        "name: longest, domain: math, max_response_tokens: 64, temperature: 1.0, warmup_steps: 2, "
        f"learning_rate: {learning_rate}, ends: {{plateau: {plateau}, steps: 9}}",
    ]
    given = ", ".join(f"{{{stage}}}" for stage in stages)
    rate = f"curriculum.learning_rate={learning_rate}"
    return [*SETTINGS, rate, f"callbacks.stages.init_args.stages=[{given}]"]


def place(run: Run) -> tuple[int, int]:
    """Return the number of the run's stage and how many of its steps this process has done; (-1, 0) before both."""
    history = [json.loads(line) for path in run.wrote("curriculum.jsonl") for line in path.read_text().splitlines()]
    starts = [change["step"] for change in history if change["what"] == "stage"]
    done = {path.name[:11] for path in run.wrote("rollouts/step-*.parquet")}
    return len(starts) - 1, sum(name >= f"step-{starts[-1]:06d}" for name in done) if starts else 0


def is_refiltering(run: Run) -> bool:
    """Return whether some problems have their solve rates and others are being attempted."""
    return bool(run.wrote("refilter/*-rank-*")) and not run.wrote("solve_rates/step-??????.parquet")


def waits(condition: Callable[[Run], bool]) -> Callable[[Run], None]:
    """Return a function that waits for a condition of a run."""
    return lambda run: run.wait_for(lambda: condition(run))


def is_exporting_at_last(run: Run) -> bool:
    """Return whether the run is over but for its final policy."""
    return bool(run.wrote("export.partial"))


def at_end(number: int, doing: str) -> Callable[[Run], bool]:
    """Return whether the end of a stage is being `evaluated`, `exported` or `saved`."""
    name = list(STAGES)[number]

    def holds(run: Run) -> bool:
        if place(run)[0] != number + 1 or (doing == "evaluated" and run.wrote(f"stages/{name}")):
            return False
        saving, exporting = "checkpoints/*.partial/*.distcp", f"stages/{name}.partial"
        return bool(run.wrote({"evaluated": "evaluating", "exported": exporting, "saved": saving}[doing]))

    return holds


def within(number: int, draw: random.Random) -> Callable[[Run], None]:
    """Return a function that waits for a random moment of a stage, or a later one when it is over."""
    steps, seconds = draw.randint(1, list(STAGES.values())[number]), draw.random() / 5

    def wait(run: Run) -> None:
        run.wait_for(lambda: place(run) >= (number, steps))
        time.sleep(seconds)

    return wait


def moments(kills: int, draw: random.Random) -> list[Moment]:
    """Return so many moments, each stage among them with 4 or more, in the order in which a run comes by them."""

    def is_in(number: int) -> Callable[[Run], bool]:
        return lambda run: place(run)[0] == number

    def ending(number: int, doing: str) -> tuple[int, int, Moment]:
        holds = at_end(number, doing)
        return number, 2, Moment(f"while the end of {list(STAGES)[number]} is {doing}", waits(holds), holds)

    def random_one(number: int, name: str, was_hit: Callable[[Run], bool]) -> tuple[int, int, Moment]:
        return number, 1, Moment(name, within(number, draw), was_hit)

    named = [
        ending(0, "evaluated"),
        (1, 0, Moment("in the middle of the refilter of longer", waits(is_refiltering), is_refiltering)),
        random_one(2, "in code", is_in(2)),
        random_one(3, "in longest", is_in(3)),
        ending(1, "exported"),
        ending(2, "saved"),
        (3, 2, Moment("while the final policy is exported", waits(is_exporting_at_last), is_exporting_at_last)),
        random_one(0, "in short", is_in(0)),
        random_one(1, "in longer", is_in(1)),
    ]
    for _ in range(kills - len(named)):
        named.append(random_one(draw.randrange(len(STAGES)), "at random", lambda run: True))
    return [moment for _, _, moment in sorted(named[:kills], key=lambda entry: entry[:2])]


def smallest(folder: Path) -> list[str]:
    """Return the words of the smallest run, with the engine that starts sooner."""
    return ["--ranks", "1", "--kills", "4", "--seed", "6", "engine.name=transformers"]


def main(words: Sequence[str]) -> int:
    """Run, kill, compare."""
    parser = command_line(__doc__)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("words", nargs="*")
    options = parser.parse_args(words)
    settings = [*curriculum(1e-4), *options.words]
    chosen = moments(options.kills, random.Random(options.seed))
    with tempfile.TemporaryDirectory() as folder, Run(Path(folder), "whole", options.ranks, settings) as whole:
        killed = run_with_kills(Path(folder), options.ranks, settings, chosen)
        whole.finish()
        return report(killed, whole, options.ranks)


if __name__ == "__main__":
    start(main, smallest)
