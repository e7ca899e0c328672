"""One micro-batch, forward and backward, with random weights: its memory against the plan, its time."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acereason.doctor.finding import Context, Finding, finding
from acereason.doctor.gpu import device

if TYPE_CHECKING:
    import torch

    from acereason.config.schema import Config
    from acereason.policy.model import PolicyModel

MODEL = "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B"
SMALL: dict[str, Any] = {
    **{"model_type": "qwen2", "hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 4},
    **{"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 8192, "tie_word_embeddings": False},
}
LONG, SHORTER = ((384, (9120,) * 4),), ((300, (8000,) * 4),)
FEW, FEWER = ((64, (60,) * 16),), ((50, (50,) * 16),)
LOWEST_MFU = 0.1


def against_plan(context: Context) -> Iterator[Finding]:
    """Compute a 1.5B policy's largest micro-batch on a GPU, a small one elsewhere; then one of another length."""
    import torch.distributed as dist

    from acereason.config.compose import compose
    from acereason.config.known_models import KNOWN_MODELS
    from acereason.distributed.environment import claim_alone
    from acereason.planning.memory import Shape, training_memory

    where = device()
    gpu = where.type == "cuda"
    config = compose(["recipe=one_gpu_1_5b"] if gpu else ["recipe=laptop_math", "model.micro_batch_tokens=1024"])
    values, (first, second) = (KNOWN_MODELS[MODEL], (LONG, SHORTER)) if gpu else (SMALL, (FEW, FEWER))
    claim_alone()
    dist.init_process_group("cpu:gloo,cuda:nccl" if gpu else "gloo")
    config.trainer.devices = config.trainer.num_nodes = 1
    with tempfile.TemporaryDirectory(prefix="doctor-") as folder:
        (Path(folder) / "config.json").write_text(json.dumps(values))
        config.model.path = folder
        model = random_policy(config, where)
    plan = training_memory(config, Shape.of(values))
    planned = plan.total - plan.optimizer  # there is none here
    compute(model, second, where) if not gpu else None  # libraries take memory in their first pass
    used, _ = measured(model, first, where)
    compiled = graphs()
    _, seconds = measured(model, first, where)
    factor = 1.1 if gpu else 1.5
    yield finding(
        *("memory", f"at most {factor:g} × the plan of {planned / 2**30:.2f} GiB", f"{used / 2**30:.2f} GiB"),
        holds=used <= factor * planned,
        fix="a smaller model.micro_batch_tokens, and report it with output=FILE: the plan is wrong here",
    )
    tokens = sum(prompt + sum(responses) for prompt, responses in first)
    yield speed(model, tokens, seconds, where)
    measured(model, second, where)
    more = graphs() - compiled
    yield finding("compilation", "none at a second length", f"{more} more graphs", more == 0, "report it: output=FILE")
    dist.destroy_process_group()


def random_policy(config: Config, where: torch.device) -> PolicyModel:
    """Return a sharded policy of a folder's config.json, with random weights."""
    import torch
    from torch.distributed.device_mesh import init_device_mesh

    from acereason.policy.model import PolicyModel

    model = PolicyModel(config.model)
    model.shard(init_device_mesh(where.type, (1,)), config.model.compute_dtype)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.to_empty(device=where)
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
        for parameter in model.parameters():
            parameter.normal_(std=0.02)
    return model.train()


def compute(model: PolicyModel, groups: Any, where: torch.device) -> None:
    """Run a micro-batch forward and backward, as an update does; gradients are dropped afterwards."""
    from acereason.doctor.attention import row

    model(row(groups).to(where), 1.0)[0].sum().backward()


def measured(model: PolicyModel, groups: Any, where: torch.device) -> tuple[float, float]:
    """Return bytes at the most, weights included, and seconds of a micro-batch."""
    import torch

    weights = sum(parameter.numel() * 4 for parameter in model.parameters())
    model.zero_grad()
    gpu = where.type == "cuda"
    if gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")
    before, started = resident("VmRSS"), time.perf_counter()
    compute(model, groups, where)
    if gpu:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    used = torch.cuda.max_memory_allocated() if gpu else weights + resident("VmHWM") - before
    return float(used), seconds


def resident(mark: str) -> int:
    """Return the resident bytes of this process: now (VmRSS), or the most since they were reset (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{mark}:"))


def graphs() -> int:
    """Return how many graphs torch has compiled in this process."""
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])


def speed(model: PolicyModel, tokens: int, seconds: float, where: torch.device) -> Finding:
    """Return tokens a second, and the share of the GPU's peak: six operations a parameter and token."""
    import torch
    from lightning.fabric.utilities.throughput import get_available_flops

    seen = f"{seconds:.2f} s for {tokens:,} tokens"
    peak = get_available_flops(where, torch.bfloat16) if where.type == "cuda" else None
    if not peak:
        return Finding("speed", "any: the peak of this device is not known", seen)
    mfu = 6 * sum(parameter.numel() for parameter in model.parameters()) * tokens / seconds / peak
    fix = "end other programs on the GPU (nvidia-smi), and look at its power limit and temperature"
    return finding("speed", f"MFU at least {LOWEST_MFU:.0%}", f"{seen}, MFU {mfu:.1%}", mfu >= LOWEST_MFU, fix)
