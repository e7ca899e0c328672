"""The policy as one module whose forward pass ends in log-probs, so that sharding never sees its logits."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor

from acereason.config.schema import DType, ModelConfig
from acereason.engines.model_folder import model_folder_of_all_ranks
from acereason.policy import attention
from acereason.policy.head import chunked_logprobs
from acereason.policy.loading import fill, skeleton
from acereason.policy.packing import PackedBatch


class PolicyModel(nn.Module):
    """A Hugging Face causal language model that maps a packed micro-batch to log-probs and entropies.

    It has no weights, and takes no memory, until `load`; `shard` comes before that.

    Attributes:
        language_model: the model as `transformers` loads it, float32.
        folder: where its files are.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.folder = model_folder_of_all_ranks(config.path)
        self.language_model = skeleton(self.folder)
        self.head_chunk_tokens = config.head_chunk_tokens
        if config.activation_checkpointing:
            self.language_model.gradient_checkpointing_enable({"use_reentrant": False})

    def forward(self, batch: PackedBatch, temperature: float, entropy: bool = False) -> tuple[Tensor, Tensor]:
        """`[response tokens]` log-probs and entropies (zeros unless asked for) at the sampling temperature."""
        plan = attention.plan_attention(batch)
        hidden = self.language_model.model(
            input_ids=batch.input_ids[None],
            position_ids=batch.positions[None],
            packing_plan=plan,
            use_cache=False,
        ).last_hidden_state[0]
        weight = self.language_model.lm_head.weight
        return chunked_logprobs(
            hidden[batch.predictors], weight, batch.targets, temperature, self.head_chunk_tokens, entropy
        )

    def shard(self, mesh: DeviceMesh, compute_dtype: DType) -> None:
        """Shards every layer and then the root (FSDP2): float32 shards, `compute_dtype` arithmetic.

        Args:
            mesh: the ranks that hold one copy between them, or (copies, ranks of each) for HSDP.
        """
        if compute_dtype == DType.float32:
            policy = MixedPrecisionPolicy()
        else:
            policy = MixedPrecisionPolicy(
                param_dtype=getattr(torch, compute_dtype.value), reduce_dtype=torch.float32, output_dtype=torch.float32
            )
        for layer in self.language_model.model.layers:
            fully_shard(layer, mesh=mesh, mp_policy=policy)
        fully_shard(self, mesh=mesh, mp_policy=policy)

    def load(self, device: torch.device | str) -> PolicyModel:
        """Reads this rank's part of the weights, or all of them if it is not sharded, onto `device`; returns itself.

        Raises:
            UserError: the folder lacks weights, or a file is broken.
        """
        fill(self.language_model, self.folder, torch.device(device))
        return self

    def release(self) -> None:
        """Frees what a forward pass without a backward pass has left gathered on this rank."""
        for module in self.modules():
            if isinstance(module, FSDPModule):
                module.reshard()


@torch.no_grad()
def whole(tensor: Tensor) -> Tensor:
    """All rows of a sharded tensor, on every rank that shares it: a collective. Any other tensor is returned as it is.

    It may share memory with the tensor that it was made of.
    """
    if not isinstance(tensor, DTensor):
        return tensor
    mesh = tensor.device_mesh
    group = mesh.get_group(mesh.ndim - 1)
    if tensor.device.type != "cpu" or group.size() == 1:
        return tensor.full_tensor()
    # gloo's all-gather needs the memory of the result twice; a broadcast works in place.
    result = torch.empty(tensor.shape, dtype=tensor.dtype)
    for source, rows in enumerate(result.split(-(-len(result) // group.size()))):
        if source == group.rank():
            rows.copy_(tensor.to_local())
        dist.broadcast(rows, group_src=source, group=group)
    return result
