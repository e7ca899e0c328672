"""One rank of `test_loading.py`: loads models over all ranks and writes down what it finds.

python -m torch.distributed.run --nproc-per-node 2 sharded_loading.py OUT MODEL:COPIES...
"""

import json
import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from transformers import AutoModelForCausalLM

from acereason.config.schema import DType, ModelConfig
from acereason.errors import UserError
from acereason.policy.model import PolicyModel, whole
from acereason.policy.packing import ResponseTokens, pack

BATCH = pack([ResponseTokens(0, 0, (5, 6, 7), (8, 9, 10)), ResponseTokens(1, 1, (11, 12), (13, 14))])


def gradients(model: PolicyModel) -> dict[str, Tensor]:
    logprobs, _ = model(BATCH, 1.0)
    logprobs.sum().backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def facts(path: str, copies: int) -> dict[str, object]:
    config = ModelConfig(path=path)
    model = PolicyModel(config)
    ranks = dist.get_world_size()
    shape, names = ((ranks,), ("shard",)) if copies == 1 else ((copies, ranks // copies), ("replicate", "shard"))
    model.shard(init_device_mesh("cpu", shape, mesh_dim_names=names), DType.float32)
    model.load("cpu")
    optimizer = torch.optim.AdamW(model.parameters())
    before = [id(parameter) for parameter in model.parameters()]
    tied_before = model.language_model.lm_head.weight is model.language_model.model.embed_tokens.weight

    library = AutoModelForCausalLM.from_pretrained(model.folder, dtype=torch.float32)
    expected = dict(library.named_parameters())
    loaded = {name: p.full_tensor().clone() for name, p in model.language_model.named_parameters()}
    gathered = all(
        torch.equal(whole(p), loaded[name]) and torch.equal(whole(p.detach().bfloat16()), loaded[name].bfloat16())
        for name, p in model.language_model.named_parameters()
    )
    rows = {p.to_local().shape[0] for _, p in model.named_parameters() if p.shape[0] > 1}

    plain = PolicyModel(config).load("cpu")
    wanted = gradients(plain)
    gap = max((g.full_tensor() - wanted[name]).abs().max().item() for name, g in gradients(model).items())
    optimizer.step()
    moved = all(not torch.equal(p.full_tensor(), loaded[n]) for n, p in model.language_model.named_parameters())
    return {
        "names": loaded.keys() == expected.keys(),
        "equal": all(torch.equal(tensor, expected[name]) for name, tensor in loaded.items()),
        "gathered": gathered,
        "whole": max(rows) == max(p.shape[0] for p in model.parameters()),
        "gradient gap": gap,
        "moved": moved,
        "same objects": [id(parameter) for parameter in model.parameters()] == before,
        "tied": [tied_before, model.language_model.lm_head.weight is model.language_model.model.embed_tokens.weight],
    }


def released(path: str) -> dict[str, object]:
    """Whether the root is gathered after a forward pass without gradients, and after `release`."""
    model = PolicyModel(ModelConfig(path=path))
    model.shard(init_device_mesh("cpu", (dist.get_world_size(),)), DType.float32)
    model.load("cpu").requires_grad_(False)
    with torch.no_grad():
        first = model(BATCH, 1.0)[0]
        gathered = type(model.language_model.lm_head.weight).__name__
        model.release()
        after = type(model.language_model.lm_head.weight).__name__
        return {"gathered": gathered, "released": after, "again": torch.equal(first, model(BATCH, 1.0)[0])}


def refusal(path: str) -> str:
    try:
        PolicyModel(ModelConfig(path=path))
    except UserError as error:
        return str(error)
    return ""


def main() -> None:
    dist.init_process_group("gloo")
    out, *models = sys.argv[1:]
    found: dict[str, object] = {}
    for word in models:
        path, _, copies = word.rpartition(":")
        found[word] = facts(path, int(copies))
    found["release"] = released(models[0].rpartition(":")[0])
    found["refusal"] = refusal("nobody/nothing")
    Path(f"{out}-{dist.get_rank()}.json").write_text(json.dumps(found))
    dist.destroy_process_group()
    # Threads of the loader and of gloo are taken down in either order at exit, which ended one run in many by SIGABRT.
    os._exit(0)


if __name__ == "__main__":
    main()
