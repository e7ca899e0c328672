"""How torch allocates pinned host memory; it reads this from the environment, so torch comes later."""

from __future__ import annotations

import os

from acereason.config.schema import Config

EXACT_ABOVE_MIB = 16
"""Pinned allocations above this size are exact, if weights are offloaded."""
_NAMES = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")  # torch takes the first that is set


def limit_pinned_memory(config: Config) -> None:
    """Make large pinned allocations exact if weights are offloaded; what the environment says of them otherwise stays.

    By default torch rounds each up to a power of two, nearly twice what a 7B policy needs. `pinned_max_cached_size_mb`
    ends that, and frees such blocks instead of keeping them for later. `pinned_max_round_threshold_mb` alone would keep
    them, and torch takes a kept block for any other between the same two powers of two: also for a larger one.
    """
    name = next((name for name in _NAMES if os.environ.get(name)), _NAMES[-1])
    given = os.environ.get(name, "")
    if config.model.cpu_offload and "pinned_max" not in given:
        exact = f"pinned_max_cached_size_mb:{EXACT_ABOVE_MIB}"
        os.environ[name] = f"{given},{exact}" if given else exact
