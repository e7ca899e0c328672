"""The policy as one module whose forward pass ends in log-probs, so that sharding never sees its logits."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import (
    CPUOffloadPolicy,
    FSDPModule,
    MixedPrecisionPolicy,
    OffloadPolicy,
    fully_shard,
    register_fsdp_forward_method,
)
from torch.distributed.tensor import DTensor

from acereason.config.schema import DType, ModelConfig
from acereason.engines.model_folder import model_folder_of_all_ranks
from acereason.policy import attention
from acereason.policy.adapters import add_adapters
from acereason.policy.cost import Cost
from acereason.policy.head import chunked_logprobs
from acereason.policy.loading import fill, skeleton
from acereason.policy.packing import PackedBatch
from acereason.policy.structure import layers_of


class PolicyModel(nn.Module):
    """A Hugging Face causal language model that maps a packed micro-batch to log-probs and entropies.

    It has no weights, and takes no memory, until `load`; call `shard` before that.

    Args:
        config: settings of the model.
        seed: what the first values of adapters are derived from.

    Attributes:
        language_model: the `transformers` model, float32; with adapters, all else is frozen in the compute type.
        folder: the folder of its files.
        cost: what its tokens cost to compute.
    """

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        super().__init__()
        self.seed = seed
        self.folder = model_folder_of_all_ranks(config.path)
        self.language_model = skeleton(self.folder)
        self.cost = Cost.of(self.language_model)
        if config.lora.rank:
            add_adapters(self.language_model, config)
        self.head_chunk_tokens = config.head_chunk_tokens
        self.cpu_offload = config.cpu_offload
        if config.activation_checkpointing:
            self.language_model.gradient_checkpointing_enable({"use_reentrant": False})

    @property
    def trained(self) -> list[nn.Parameter]:
        """The parameters that learn: all, or those of the adapters."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def forward(self, batch: PackedBatch, temperature: float, entropy: bool = False) -> tuple[Tensor, Tensor]:
        """Return `[response tokens]` log-probs and entropies (zeros unless `entropy`) at the sampling temperature."""
        plan = attention.plan_attention(batch)
        hidden = self.language_model.base_model(
            input_ids=batch.input_ids[None],
            position_ids=batch.positions[None],
            packing_plan=plan,
            use_cache=False,
        ).last_hidden_state[0]
        weight = self.language_model.get_output_embeddings().weight
        return chunked_logprobs(
            hidden[batch.predictors],
            weight,
            batch.targets,
            temperature,
            self.head_chunk_tokens,
            entropy,
            getattr(self.language_model.config, "final_logit_softcapping", None),
        )

    def plain_logprobs(self, ids: Tensor, prompt_tokens: int) -> Tensor:
        """Return `[response tokens]` log-probs of one response by `transformers`' own attention and head, for checks.

        Args:
            ids: `[tokens]`, the prompt and the response.
            prompt_tokens: length of the prompt.
        """
        config = self.language_model.config
        config._attn_implementation = "eager"
        try:
            logits = self.language_model(input_ids=ids[None], use_cache=False).logits[0, prompt_tokens - 1 : -1]
        finally:
            config._attn_implementation = attention.NAME
        logprobs: Tensor = torch.log_softmax(logits.float(), -1).gather(1, ids[prompt_tokens:, None])[:, 0]
        return logprobs

    def shard(self, mesh: DeviceMesh, compute_dtype: DType) -> None:
        """Shard every layer and then the root (FSDP2): float32 shards, `compute_dtype` arithmetic.

        With `model.cpu_offload` shards and their gradients are in host memory, pinned if the ranks compute on GPUs.

        Args:
            mesh: the ranks that share one copy, or for HSDP (copies, ranks of each copy).
            compute_dtype: type of activations and matrix products.
        """
        if compute_dtype == DType.float32:
            policy = MixedPrecisionPolicy()
        else:
            # No output_dtype: the last norm would return float32 to a head in `compute_dtype`, and checkpointed layers
            # would keep float32 inputs. Log-probs leave the head in float32 anyway.
            policy = MixedPrecisionPolicy(param_dtype=getattr(torch, compute_dtype.value), reduce_dtype=torch.float32)
        pinned = mesh.device_type == "cuda"
        offload = CPUOffloadPolicy(pin_memory=pinned) if self.cpu_offload else OffloadPolicy()
        for layer in layers_of(self.language_model):
            fully_shard(layer, mesh=mesh, mp_policy=policy, offload_policy=offload)
        fully_shard(self, mesh=mesh, mp_policy=policy, offload_policy=offload)
        register_fsdp_forward_method(self, "plain_logprobs")

    def load(self, device: torch.device | str) -> PolicyModel:
        """Load this rank's shard of the weights, or all weights if not sharded, onto `device`; return itself.

        With `model.cpu_offload` only buffers go there, and weights stay in host memory.

        Raises:
            UserError: weights are missing, or a file is broken.
        """
        device = torch.device(device)
        where = torch.device("cpu") if self.cpu_offload else device
        fill(self.language_model, self.folder, where, device, self.seed)
        return self

    def _apply(self, *arguments: Any, **named: Any) -> PolicyModel:
        """Leave everything where `load` put it if weights are offloaded: Lightning moves its module to the GPU."""
        return self if self.cpu_offload else super()._apply(*arguments, **named)

    def release(self) -> None:
        """Free the layers that a forward pass without a backward pass has left gathered on this rank."""
        for module in self.modules():
            if isinstance(module, FSDPModule):
                module.reshard()


@torch.no_grad()
def whole(tensor: Tensor) -> Tensor:
    """Gather all rows of a sharded tensor on every rank that shares it (a collective); return any other as it is.

    The result may share memory with `tensor`.
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
