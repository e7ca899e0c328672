"""An engine that sleeps and wakes again and again: its memory must not grow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from acereason.doctor.finding import Context, Finding, finding
from acereason.doctor.gpu import device

if TYPE_CHECKING:
    from torch import Tensor

CYCLES = 30
SETTLED = 3
"""Cycles after which memory should stay."""
GROWTH_MIB = 64


def cycles(context: Context, count: int = CYCLES) -> Iterator[Finding]:
    """Sync, generate and sleep, with memory of the device watched; a dropped engine is always synced first."""
    from acereason.config.compose import compose
    from acereason.config.files import REPOSITORY
    from acereason.engines.engine import Request, Sampling
    from acereason.engines.vllm_engine import VLLMEngine

    config = compose(["recipe=laptop_math", "engine.gpu_memory_utilization=0.3"])
    folder = REPOSITORY / "models" / "laptop"
    where = device()
    engine = VLLMEngine(str(folder), config.engine, 256, where)
    weights = policy_weights(str(folder))
    asleep, awake = [], []
    for cycle in range(count):
        engine.sync((name, tensor.to(where)) for name, tensor in weights)
        requests = [Request(number, (5, 6, 7), 10 * cycle + number) for number in range(8)]
        made = list(engine.generate(requests, Sampling(max_tokens=16)))
        assert len(made) == len(requests)
        awake.append(used_mib())
        engine.sleep()
        asleep.append(used_mib())
    engine.close()
    expected = f"less than {GROWTH_MIB} MiB more after {count} cycles than after {SETTLED}"
    for subject, series in (("awake", awake), ("asleep", asleep)):
        more = growth(series)
        fix = "another driver, or engine.sleep=keep; report it with output=FILE"
        yield finding(subject, expected, f"{more:+.0f} MiB, now {series[-1]:.0f} MiB", more < GROWTH_MIB, fix)


def policy_weights(folder: str) -> list[tuple[str, Tensor]]:
    """Return the weights of a folder, as a policy streams them."""
    from safetensors.torch import load_file

    return list(load_file(f"{folder}/model.safetensors").items())


def used_mib() -> float:
    """Return used memory of the GPU, by all processes, or resident memory of this process on the CPU."""
    import torch

    from acereason.doctor.micro_batch import resident

    if not torch.cuda.is_available():
        return resident("VmRSS") / 2**20
    torch.cuda.synchronize()
    free, total = torch.cuda.mem_get_info()
    return (total - free) / 2**20


def growth(series: Sequence[float]) -> float:
    """Return how much a series has grown since it should have settled."""
    return series[-1] - series[min(SETTLED, len(series)) - 1]
