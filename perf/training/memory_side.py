"""Measure figures of `memory.py`, which says what they are, in a process of its own.

    python -m perf.training.memory_side --folder FOLDER [--tiny] head model | exported
    python -m torch.distributed.run --nproc-per-node 2 -m perf.training.memory_side --folder FOLDER load sync export

`model` writes the policy that the ranks load; `export` saves their checkpoint, which `exported` then exports. Prints a
JSON object a line: `figure`, `what`, `value`, `unit`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from safetensors.torch import save_file
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from transformers import AutoConfig, AutoTokenizer

from acereason.config.compose import compose
from acereason.config.schema import DType, ModelConfig
from acereason.policy.head import chunked_logprobs
from acereason.policy.loading import INDEX_FILE, skeleton
from acereason.policy.model import PolicyModel
from acereason.policy.module import PolicyModule
from acereason.rollout.curriculum import Curriculum
from acereason.training.export import KEY_PREFIX, export_checkpoint
from perf.processes import mib

GB = 1e9
TOKENS, VOCABULARY, WIDTH = 8192, 151936, 896
TINY_TOKENS, TINY_VOCABULARY = 256, 1024
TOKENIZER = "models/laptop"
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 1536,
    "intermediate_size": 8960,
    "num_hidden_layers": 28,
    "num_attention_heads": 12,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}  # of Qwen2.5-1.5B
TINY_SHAPE = SHAPE | {
    "vocab_size": TINY_VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 6,
}
FILE_PARAMETERS = 60
"""Parameters in a file of the policy's weights."""


class Peak:
    """`with Peak() as peak`: afterwards, `peak.growth` is the most resident bytes over those at the start."""

    def __enter__(self) -> Peak:
        Path("/proc/self/clear_refs").write_text("5")
        self.before = resident()
        return self

    def __exit__(self, *_: object) -> None:
        self.growth = resident("VmHWM") - self.before


def resident(mark: str = "VmRSS") -> float:
    """Return the resident bytes of this process: now, or with VmHWM the most since the mark was reset."""
    return mib("self", mark) * 2**20


def report(figure: str, what: str, value: float, unit: str) -> None:
    """Print a figure for `memory.py`."""
    print(json.dumps({"figure": figure, "what": what, "value": value, "unit": unit}), flush=True)


def measure_head(chunk: int, tiny: bool) -> None:
    """Measure in float32, the widest type; bfloat16 needs less."""
    tokens, vocabulary = (TINY_TOKENS, TINY_VOCABULARY) if tiny else (TOKENS, VOCABULARY)
    hidden = torch.randn(tokens, WIDTH).requires_grad_()
    weight = (torch.randn(vocabulary, WIDTH) * 0.02).requires_grad_()
    targets = torch.randint(vocabulary, (tokens,))
    chunked_logprobs(hidden[:8], weight[:64], targets[:8] % 64, 1.0, 8)[0].sum().backward()
    hidden.grad = weight.grad = None
    with Peak() as peak:
        chunked_logprobs(hidden, weight, targets, 1.0, chunk)[0].sum().backward()
    assert hidden.grad is not None and weight.grad is not None
    extra = peak.growth - hidden.grad.nbytes - weight.grad.nbytes
    report("head", f"{tokens:,} tokens, head_chunk_tokens={chunk}", extra / GB, "GB")


def make_model(folder: Path, tiny: bool) -> None:
    """Write random bfloat16 weights to several files, with never more of them in memory than one file."""
    AutoConfig.for_model("qwen2", **(TINY_SHAPE if tiny else SHAPE)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(TOKENIZER).save_pretrained(folder)
    files: dict[str, str] = {}
    shard: dict[str, torch.Tensor] = {}
    parameters = list(skeleton(folder).named_parameters())
    for number, (name, parameter) in enumerate(parameters):
        shard[name] = torch.empty(parameter.shape, dtype=torch.bfloat16).normal_(std=0.02)
        files[name] = f"model-{number // FILE_PARAMETERS + 1:05d}.safetensors"
        if number % FILE_PARAMETERS == FILE_PARAMETERS - 1 or number == len(parameters) - 1:
            save_file(shard, folder / files[name], {"format": "pt"})
            shard = {}
    (folder / INDEX_FILE).write_text(json.dumps({"weight_map": files}))


def measure_rank(folder: Path, figures: list[str]) -> None:
    """Load, sync and save on one of the ranks; each reports in its turn."""
    dist.init_process_group("gloo")
    with Peak() as peak:
        model = PolicyModel(ModelConfig(path=str(folder / "model")))
        model.shard(init_device_mesh("cpu", (dist.get_world_size(),)), DType.float32)
        model.load("cpu")
    shards = sum(local(parameter).nbytes for parameter in model.parameters())
    loading = peak.growth / shards
    config = compose(["recipe=laptop_math", f"model.path={folder / 'model'}"])
    module = PolicyModule(config, Curriculum.from_config(config))
    module.model = model
    largest = max(parameter.numel() * 4 for parameter in model.parameters())
    with Peak() as peak:
        if "sync" in figures:
            for _ in module.weights():
                pass
    for rank in range(dist.get_world_size()):
        dist.barrier()
        if rank == dist.get_rank():
            if "load" in figures:
                report("load", f"rank {rank}, shards of {shards / GB:.2f} GB", loading, "× shards")
            if "sync" in figures:
                what = f"rank {rank}, largest weight {largest / GB:.2f} GB"
                report("sync", what, peak.growth / largest, "× largest")
    if "export" in figures:
        save(model, folder / "checkpoint")
    dist.destroy_process_group()


def local(parameter: torch.Tensor) -> torch.Tensor:
    """Return this rank's shard of a sharded parameter."""
    assert isinstance(parameter, DTensor)
    return parameter.to_local()


def save(model: PolicyModel, checkpoint: Path) -> None:
    """Save a checkpoint laid out as Lightning's; the weights stand in for AdamW's moments, which have their shape."""
    key = KEY_PREFIX.removeprefix("state_dict.")
    weights = {key + name: parameter.detach() for name, parameter in model.language_model.named_parameters()}
    moments = {name: {"step": torch.tensor(1.0), "exp_avg": w, "exp_avg_sq": w} for name, w in weights.items()}
    dcp.save({"state_dict": weights, "optimizer_0": {"state": moments}}, checkpoint_id=checkpoint)


def measure_export(folder: Path) -> None:
    """Export and report the most that the process has held since it started."""
    export_checkpoint(folder / "checkpoint", str(folder / "model"), folder / "export")
    saved, written = (sum(f.stat().st_size for f in (folder / n).iterdir()) / GB for n in ("checkpoint", "export"))
    files = len(list((folder / "export").glob("*.safetensors")))
    what = f"{saved:.1f} GB of checkpoint to {written:.1f} GB in {files} files"
    report("export", what, resident("VmHWM") / GB, "GB")


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="+", choices=["head", "model", "load", "sync", "export", "exported"])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--chunk", type=int, default=ModelConfig().head_chunk_tokens)
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    if "head" in options.figures:
        measure_head(options.chunk, options.tiny)
    if "model" in options.figures:
        make_model(options.folder / "model", options.tiny)
    if {"load", "sync", "export"} & set(options.figures):
        measure_rank(options.folder, options.figures)
    if "exported" in options.figures:
        measure_export(options.folder)


if __name__ == "__main__":
    main()
