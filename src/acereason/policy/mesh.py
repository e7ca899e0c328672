"""The ranks that hold one copy of the policy between them."""

from __future__ import annotations

from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from acereason.config.schema import TrainerConfig
from acereason.distributed.timeouts import set_timeouts


def sharding_mesh(ranks: DeviceMesh, trainer: TrainerConfig) -> DeviceMesh:
    """Return the mesh of all ranks, or of copies of the policy times the ranks that share each copy (HSDP).

    Args:
        ranks: all ranks as Lightning lays them out, with the dimension `data_parallel`.
        trainer: its `shard_ranks` and timeouts count.
    """
    everyone = ranks["data_parallel"]
    sharing = trainer.shard_ranks or everyone.size()
    if sharing == everyone.size():
        return everyone
    # While the policy is built the module's own device is the CPU, whatever the run trains on; the mesh knows better.
    shape = (everyone.size() // sharing, sharing)
    mesh = init_device_mesh(ranks.device_type, shape, mesh_dim_names=("replicate", "shard"))
    for group in mesh.get_all_groups():
        set_timeouts(group, trainer)
    return mesh
