"""What decides responses and their verdicts, besides how they are sampled: weights, verifiers, prompts, tests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from acereason.config.schema import Config
from acereason.engines.prompt import Prompt


def decided_by(config: Config, step: int, folder: Path, prompts: Iterable[Prompt]) -> str:
    """Return a text that differs whenever a response, or the verdict on it, could differ.

    Args:
        config: settings.
        step: rollout steps done; within a run they identify the weights.
        folder: of the initial policy, whose files identify the weights before the first step.
        prompts: of the problems that may be asked.
    """
    # The number of verifiers decides nothing, and a resumed run may have another.
    engine = (config.engine.name, config.engine.dtype, config.engine.batch_invariant, config.engine.options)
    judging = (replace(config.rewards, workers=0), config.sandbox, *engine)
    weights = step or _initial_policy(config.model.path, folder)
    return repr((weights, judging, _digest(prompts)))


def _initial_policy(path: str, folder: Path) -> str:
    """Return `model.path` with the size and the modification time of each file that decides a weight."""
    paths = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".safetensors"))
    files = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    return repr((path, files))


def _digest(prompts: Iterable[Prompt]) -> str:
    """Return a digest that differs whenever a token of a prompt, a gold answer or a test differs."""
    digest = hashlib.blake2b(digest_size=16)
    for prompt in prompts:
        digest.update(repr(prompt).encode())
        digest.update(prompt.problem.tests.packed)
    return digest.hexdigest()
