"""The checks of `acereason doctor`, in their order. Nothing heavy is imported here, nor by the functions' modules."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One check, which runs in a process of its own.

    Attributes:
        name: on the command line.
        function: `module.function` in this folder; it takes a `Context` and yields findings.
        needs: another check that must have passed.
        gpus: how many GPUs it needs.
        slow: whether `quick=true` leaves it out.
        on_gpu: what it also looks at where there is a GPU, in words.
    """

    name: str
    function: str
    needs: str = ""
    gpus: int = 0
    slow: bool = False
    on_gpu: str = ""


CHECKS = (
    Check("packages", "packages.versions"),
    Check("torch", "packages.torch_build"),
    Check("vllm", "packages.vllm_import"),
    Check("gpu", "gpu.devices", gpus=1, on_gpu="driver, type and memory of each GPU"),
    Check("memory", "machine.memory_and_cores"),
    Check("files", "machine.open_files"),
    Check("disk", "machine.disk"),
    Check("ports", "ranks.meeting", needs="torch"),
    Check("sandbox", "programs.isolation"),
    Check("attention", "attention.against_sdpa", needs="torch", on_gpu="flex attention compiled, with its gradients"),
    Check("mask", "masks.block_masks", needs="torch", on_gpu="memory of the mask at 36,864 tokens"),
    Check(
        *("micro_batch", "micro_batch.against_plan"),
        needs="torch",
        slow=True,
        on_gpu="36,864 tokens of a 1.5B policy: memory, MFU, no second compilation",
    ),
    Check("float32", "steps.in_float32", needs="vllm", slow=True, on_gpu="the engine's sleep between steps"),
    Check("bfloat16", "steps.in_bfloat16", needs="vllm", slow=True),
    Check("sleep", "sleeping.cycles", needs="vllm", gpus=1, slow=True, on_gpu="memory over thirty cycles of sleep"),
    Check(
        *("gpus", "ranks.several_gpus"),
        needs="vllm",
        gpus=2,
        slow=True,
        on_gpu="several GPUs: replicated sharding, tensor parallelism, NCCL's timeout",
    ),
)
NAMES = tuple(check.name for check in CHECKS)
