"""What decides the verdict on a response, besides how it is sampled: weights, verifiers, prompts and tests, as text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from acereason.config.schema import Config
from acereason.engines.prompt import Prompt


def decided_by(config: Config, step: int, folder: Path, prompts: Iterable[Prompt]) -> str:
    """Return a text that differs where another response, or another verdict on it, could come out.

    Args:
        config: settings.
        step: rollout steps done; within a run they stand for the weights.
        folder: of the initial policy, whose files stand for its weights before the first step.
        prompts: of the problems that may be asked.
    """
    # How many verifiers there are decides nothing, and a resumed run may have others.
    engine = (config.engine.name, config.engine.dtype, config.engine.options)
    judging = (replace(config.rewards, workers=0), config.sandbox, *engine)
    weights = step or _initial_policy(config.model.path, folder)
    return repr((weights, judging, _digest(prompts)))


def _initial_policy(path: str, folder: Path) -> str:
    """Return `model.path` with the size and the time of each file that decides a weight."""
    paths = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".safetensors"))
    files = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    return repr((path, files))


def _digest(prompts: Iterable[Prompt]) -> str:
    """Return what differs where a token of a prompt, a gold answer or a test does."""
    digest = hashlib.blake2b(digest_size=16)
    for prompt in prompts:
        digest.update(repr(prompt).encode())
        digest.update(prompt.problem.tests.packed)
    return digest.hexdigest()
