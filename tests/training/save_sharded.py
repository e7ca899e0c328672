"""One rank of `test_export.py`: a policy split across all ranks makes one update and is saved as Lightning saves it.

python -m torch.distributed.run --nproc-per-node 2 save_sharded.py MODEL CHECKPOINT WEIGHTS
"""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from safetensors.torch import save_file
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, get_optimizer_state_dict
from torch.distributed.device_mesh import init_device_mesh

from acereason.config.schema import DType, ModelConfig
from acereason.policy.model import PolicyModel


def main() -> None:
    path, checkpoint, weights = sys.argv[1:]
    dist.init_process_group("gloo")
    model = PolicyModel(ModelConfig(path=path))
    model.shard(init_device_mesh("cpu", (dist.get_world_size(),)), DType.float32)
    model.load("cpu")
    module = nn.ModuleDict({"model": model})
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    options = StateDictOptions(cpu_offload=True)
    state = {
        "state_dict": get_model_state_dict(module, options=options),
        "optimizer_0": get_optimizer_state_dict(module, optimizer, options=options),
    }
    dcp.save(state, checkpoint_id=checkpoint)
    whole = {name: p.full_tensor().detach().clone() for name, p in model.language_model.named_parameters()}
    if dist.get_rank() == 0:
        torch.save({}, Path(checkpoint) / "meta.pt")
        save_file(whole, weights)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
