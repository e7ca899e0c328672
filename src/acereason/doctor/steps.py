"""A few steps of the laptop policy, on the engine of this machine, and a resumed one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from acereason.doctor.finding import Context, Finding, finding
from acereason.doctor.gpu import gpu_count

SMALL = (
    *("recipe=laptop_math", "problems.count=64", "problems.held_out=4", "rewards.workers=1"),
    *("curriculum.prompts_per_step=4", "curriculum.rollouts_per_prompt=4", "curriculum.max_response_tokens=32"),
    *("evaluation.samples_per_problem=1", "evaluation.every_n_steps=0", "log.progress_bar=false"),
    *("log.samples=0", "log.rollouts=false", "checkpoint.export=false"),
)
BFLOAT16 = (
    *("model.compute_dtype=bfloat16", "engine.dtype=bfloat16", "model.activation_checkpointing=true"),
    "engine.options={hf_overrides: {head_dtype: float32}}",
)
FIX = "see what it printed, with output=FILE; `make test` says more"


def in_float32(context: Context) -> Iterator[Finding]:
    """Take three steps in float32, each with a sync and, on a GPU, the engine's sleep."""
    with tempfile.TemporaryDirectory(prefix="doctor-") as folder:
        yield steps(Path(folder), 3, 1e-3 if gpu_count() else 1e-4)


def in_bfloat16(context: Context) -> Iterator[Finding]:
    """Take three steps in bfloat16 with checkpointing and a float32 head, then resume for a fourth."""
    with tempfile.TemporaryDirectory(prefix="doctor-") as folder:
        first = steps(Path(folder), 3, 0.05, BFLOAT16)
        yield first
        if not first.fix:
            yield steps(Path(folder), 4, 0.05, (*BFLOAT16, "ckpt=last"), "resumed")


def steps(
    folder: Path, count: int, gap: float, words: Sequence[str] = (), subject: str = "three steps", ranks: int = 1
) -> Finding:
    """Train up to step `count` and look at the log-prob gap of the engine, whose weights every sync compares.

    Args:
        folder: that holds the run.
        count: steps of the whole run.
        gap: largest mean difference of log-probs, nats.
        words: more settings.
        subject: what the finding is called.
        ranks: GPUs.
    """
    from acereason.config.files import REPOSITORY

    expected = f"step {count} done, weights synced and compared, mean log-prob gap below {gap:g}"
    program = REPOSITORY / "train.py"
    if not program.is_file():
        return Finding(subject, expected, f"{program} is missing", "install from a clone of the repository, with -e")
    where = ["trainer.accelerator=cuda", "engine.gpu_memory_utilization=0.3"] if gpu_count() else []
    model = f"model.path={REPOSITORY / 'models' / 'laptop'}"
    run = [f"run.root={folder}", "run.name=run", f"trainer.max_steps={count}", f"trainer.devices={ranks}"]
    command = [sys.executable, str(program), *SMALL, model, *where, *run, *words]
    environment = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        last = lines[-1][:300] if lines else "nothing printed"
        return Finding(subject, expected, f"exit code {done.returncode}: {last}", FIX, "\n".join(lines[-40:]))
    from acereason.training.curves import read_scalars

    scalars = read_scalars(folder / "run")
    gaps = [value for _, value in scalars["rollout/logprob_gap_mean"]]
    last_step = max(step for step, _ in scalars["rollout/logprob_gap_mean"])
    seen = f"step {last_step} done, weights synced and compared, mean gap {max(gaps):.1e}"
    return finding(subject, expected, seen, max(gaps) < gap and last_step == count, FIX)
