"""GPUs: how many there are, their driver, and what each can do."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from acereason.doctor.finding import Context, Finding, finding

if TYPE_CHECKING:
    import torch

CAPABILITY = (8, 0)
"""Oldest GPUs that compute in bfloat16."""


def gpu_count() -> int:
    """Return the number of GPUs that the driver shows and CUDA_VISIBLE_DEVICES leaves; torch is not imported."""
    devices = len(list(Path("/dev").glob("nvidia[0-9]*")))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return devices if visible is None else min(devices, len([name for name in visible.split(",") if name.strip()]))


def device() -> torch.device:
    """Return the GPU, or the CPU if torch finds none."""
    import torch

    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def devices(context: Context) -> Iterator[Finding]:
    """Look at the driver and at each GPU, and compute a little on it."""
    import torch

    seen, build = _driver(), f"one that CUDA {torch.version.cuda} takes"
    if not torch.cuda.is_available():
        fix = "a newer driver, or torch's CUDA build: pip install -e '.[cuda]' in an environment of its own"
        yield Finding("driver", build, f"{seen}; torch {torch.__version__} finds no GPU", fix)
        return
    yield Finding("driver", build, seen)
    for number in range(torch.cuda.device_count()):
        found = torch.cuda.get_device_properties(number)
        ones = torch.ones(256, 256, dtype=torch.bfloat16, device=f"cuda:{number}")
        right = (ones @ ones).sum().item() == 256**3
        seen = f"{found.name}, {found.total_memory / 2**30:.0f} GiB, capability {found.major}.{found.minor}"
        seen += "" if right else ", a wrong product in bfloat16"
        holds = right and (found.major, found.minor) >= CAPABILITY
        fix = "a GPU of the Ampere generation or newer; one with wrong products is broken"
        yield finding(f"GPU {number}", "capability 8.0 or more, right products in bfloat16", seen, holds, fix)


def _driver() -> str:
    if not shutil.which("nvidia-smi"):
        return "no nvidia-smi"
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    said = subprocess.run(query, capture_output=True, text=True).stdout.splitlines()
    return said[0].strip() if said else "nvidia-smi says nothing"
