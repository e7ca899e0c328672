"""Peak memory of what grows with the policy, each in processes of its own, against the limits that it has to keep.

    python benchmarks/memory.py head | load | sync | export | all

head    log-probs and gradients of 8,192 tokens over 151,936 words: what comes on top of inputs, weights and gradients
load    a policy of 1.5B parameters on 2 ranks: growth of each rank over the float32 shard that it ends with
sync    the same ranks hand every whole weight, one by one, to somebody who keeps none
export  a sharded checkpoint of that policy, AdamW's moments included, to Hugging Face format: the whole process

Prints one line a figure with its limit; exits with 1 if one is missed. `load` needs about 8 GB of memory and 4 GB of
disk under $TMPDIR, `export` 29 GB of disk. Resident memory is the kernel's own high-water mark, pages of mapped files
included.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from transformers import AutoConfig, AutoTokenizer

from acereason.config.schema import Config, DType, ModelConfig
from acereason.policy.head import chunked_logprobs
from acereason.policy.loading import INDEX_FILE, skeleton
from acereason.policy.model import PolicyModel
from acereason.policy.module import PolicyModule
from acereason.rollout.curriculum import Curriculum
from acereason.training.export import KEY_PREFIX, export_checkpoint

GB = 1e9
MISSED = "MISSED"
TOKENS, VOCABULARY, WIDTH = 8192, 151936, 896
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


def resident(mark: str = "VmRSS") -> int:
    """Resident bytes of this process: now, or with VmHWM the most since the mark was reset."""
    found = re.search(rf"{mark}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


class Peak:
    """`with Peak() as peak`: afterwards, `peak.growth` is the most resident bytes over those at the start."""

    def __enter__(self) -> Peak:
        Path("/proc/self/clear_refs").write_text("5")
        self.before = resident()
        return self

    def __exit__(self, *_: object) -> None:
        self.growth = resident("VmHWM") - self.before


def report(figure: str, value: float, limit: float, unit: str) -> None:
    """One line with a verdict, which `main` looks for."""
    verdict = "ok" if value < limit else MISSED
    print(f"{figure:<62} {value:7.2f} {unit:<14} limit {limit:g}  {verdict}", flush=True)


def measure_head(chunk: int) -> None:
    """float32, as the widest type; bfloat16 needs less."""
    hidden = torch.randn(TOKENS, WIDTH).requires_grad_()
    weight = (torch.randn(VOCABULARY, WIDTH) * 0.02).requires_grad_()
    targets = torch.randint(VOCABULARY, (TOKENS,))
    chunked_logprobs(hidden[:8], weight[:64], targets[:8] % 64, 1.0, 8)[0].sum().backward()
    hidden.grad = weight.grad = None
    with Peak() as peak:
        chunked_logprobs(hidden, weight, targets, 1.0, chunk)[0].sum().backward()
    assert hidden.grad is not None and weight.grad is not None
    extra = peak.growth - hidden.grad.nbytes - weight.grad.nbytes
    report(f"head: {TOKENS:,} tokens, head_chunk_tokens={chunk}", extra / GB, 1.0, "GB")


def make_model(folder: Path) -> None:
    """Random bfloat16 weights in several files, never more of them in memory than one file."""
    AutoConfig.for_model("qwen2", **SHAPE).save_pretrained(folder)
    AutoTokenizer.from_pretrained(TOKENIZER).save_pretrained(folder)
    files: dict[str, str] = {}
    shard: dict[str, torch.Tensor] = {}
    parameters = list(skeleton(folder).named_parameters())
    for number, (name, parameter) in enumerate(parameters):
        shard[name] = torch.empty(parameter.shape, dtype=torch.bfloat16).normal_(std=0.02)
        files[name] = f"model-{number // 60 + 1:05d}.safetensors"
        if number % 60 == 59 or number == len(parameters) - 1:
            save_file(shard, folder / files[name], {"format": "pt"})
            shard = {}
    (folder / INDEX_FILE).write_text(json.dumps({"weight_map": files}))


def rank(folder: Path, figures: list[str]) -> None:
    """One of the two ranks."""
    from torch.distributed.device_mesh import init_device_mesh

    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    with Peak() as peak:
        model = PolicyModel(ModelConfig(path=str(folder / "model")))
        model.shard(mesh, DType.float32)
        model.load("cpu")
    shards = sum(parameter.to_local().nbytes for parameter in model.parameters())
    loading = peak.growth / shards
    module = PolicyModule(Config(), Curriculum.from_config(Config().curriculum, "math"))
    module.model = model
    largest = max(parameter.numel() * 4 for parameter in model.parameters())
    with Peak() as peak:
        if "sync" in figures:
            for _ in module.weights():
                pass
    for each in range(dist.get_world_size()):
        dist.barrier()
        if each == dist.get_rank():
            if "load" in figures:
                report(f"load: rank {each}, shards of {shards / GB:.2f} GB", loading, 1.3, "× shards")
            if "sync" in figures:
                report(
                    f"sync: rank {each}, largest weight {largest / GB:.2f} GB", peak.growth / largest, 2, "× largest"
                )
    if "export" in figures:
        save(model, folder / "checkpoint")
    dist.destroy_process_group()


def save(model: PolicyModel, checkpoint: Path) -> None:
    """A checkpoint laid out as Lightning's; the weights stand in for AdamW's moments, which are of the same shape."""
    import torch.distributed.checkpoint as dcp

    key = KEY_PREFIX.removeprefix("state_dict.")
    weights = {key + name: parameter.detach() for name, parameter in model.language_model.named_parameters()}
    moments = {name: {"step": torch.tensor(1.0), "exp_avg": w, "exp_avg_sq": w} for name, w in weights.items()}
    dcp.save({"state_dict": weights, "optimizer_0": {"state": moments}}, checkpoint_id=checkpoint)


def measure_export(folder: Path) -> None:
    """The most that the process has held since it started."""
    export_checkpoint(folder / "checkpoint", str(folder / "model"), folder / "export")
    saved, written = (sum(f.stat().st_size for f in (folder / n).iterdir()) / GB for n in ("checkpoint", "export"))
    files = len(list((folder / "export").glob("*.safetensors")))
    figure = f"export: {saved:.1f} GB of checkpoint to {written:.1f} GB in {files} files"
    report(figure, resident("VmHWM") / GB, 8, "GB")


def commands(figures: list[str], folder: Path) -> Iterator[list[str]]:
    """The processes that measure these figures, one after the other."""
    this = [str(Path(__file__)), "--folder", str(folder)]
    if "head" in figures:
        yield [sys.executable, *this, "--worker", "head", "head"]
    on_ranks = [figure for figure in figures if figure != "head"]
    if on_ranks:
        make_model(folder / "model")
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        yield [*launch, *this, "--worker", "rank", *on_ranks]
    if "export" in figures:
        yield [sys.executable, *this, "--worker", "export", "export"]


def work(arguments: argparse.Namespace) -> None:
    """What one of the `commands` does."""
    if arguments.worker == "head":
        measure_head(arguments.chunk)
    elif arguments.worker == "rank":
        rank(arguments.folder, arguments.figures)
    else:
        measure_export(arguments.folder)


def main() -> int:
    """1 if a limit is missed."""
    choices = ["head", "load", "sync", "export"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="+", choices=[*choices, "all"])
    parser.add_argument("--chunk", type=int, default=ModelConfig().head_chunk_tokens, help="head: tokens of a chunk")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments)
        return 0
    figures = choices if "all" in arguments.figures else arguments.figures
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        for command in commands(figures, Path(folder)):
            environment = {"OMP_NUM_THREADS": "1", **os.environ}
            command.append(f"--chunk={arguments.chunk}")
            with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    print(line, end="", flush=True)
                    missed |= MISSED in line
            if process.returncode:
                return process.returncode
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
