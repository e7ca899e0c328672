"""A rank of `test_ranks_exact.py`: the gradient of one update over fixed rollouts, for several ways of sharing them.

    torchrun ... rank_gradients.py OUTPUT SHARD_RANKS

Rank 0 writes {case: {parameter: gradient}}, and for each case also how far engine and policy are apart.
"""

import sys
from dataclasses import astuple

import torch
import torch.distributed as dist
from tiny_runs import prompts, rollout, rollout_batch
from torch.distributed.device_mesh import init_device_mesh

from acereason.config.schema import Correction, DType, GRPOConfig, ModelConfig, Normalisation
from acereason.distributed.collectives import gather
from acereason.engines.rollout import Rollout
from acereason.policy.model import PolicyModel
from acereason.policy.update import accumulate_gradients, plan, responses_of, spread_over_ranks, summed
from acereason.rollout.batch import RolloutBatch

GROUPS, SIZE, MAX_TOKENS = 8, 4, 200
CPU = torch.device("cpu")
CONFIGS = {name.value: GRPOConfig(normalisation=name) for name in Normalisation}
# The tokens are arbitrary, so the policy gives them far less than the engine: means of ratios from 3e-9 to 3e-7.
CONFIGS["masked"] = GRPOConfig(correction=Correction.sequence_mask, correction_low=1.6e-8, correction_high=1.5)


def all_groups(only_one: bool) -> list[list[Rollout]]:
    """Eight groups of four with 1 to 60 tokens; half of them have an advantage, or one response of one alone."""
    draw = torch.Generator().manual_seed(0)
    groups = []
    for group in range(GROUPS):
        groups.append([])
        for sample in range(SIZE):
            length = 1 + (23 * (group * SIZE + sample)) % 60
            ids = torch.randint(4, 260, (length,), generator=draw).tolist()
            reward = float(sample == 0 and group % 2 == 0 and not (only_one and group))
            made = rollout(reward, ids, sample=sample, prompt=prompts(GROUPS)[group], logprobs=[-1.0] * length)
            groups[-1].append(made)
    return groups


def own_part(groups: list[list[Rollout]], counts: list[int], only_one: bool) -> RolloutBatch:
    """This rank's share, `counts[rank]` groups after those of the ranks before it."""
    rank = dist.get_rank()
    first = sum(counts[:rank])
    whole = rollout_batch(groups)
    advantages = whole.advantages.clone()
    if only_one:
        advantages[0, 1:] = 0
    part = slice(first, first + counts[rank])
    return RolloutBatch(
        step=0,
        groups=groups[part],
        rewards=whole.rewards[part],
        advantages=advantages[part],
        temperature=1.0,
        first=first,
        total_groups=len(groups),
    )


def shares(world: int) -> dict[str, list[int]]:
    even = [GROUPS // world] * world
    return {"even": even, "uneven": [1] * (world - 1) + [GROUPS - world + 1], "none": [GROUPS] + [0] * (world - 1)}


def gradient(
    model: PolicyModel, batch: RolloutBatch, config: GRPOConfig, spread: bool
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    responses = responses_of(batch, range(GROUPS), config)
    if spread:
        responses, batches = spread_over_ranks(responses, MAX_TOKENS, model.cost)
    else:
        batches = plan(responses, MAX_TOKENS)
    stats = accumulate_gradients(
        model,
        responses,
        batches,
        config,
        1.0,
        CPU,
        scale=float(dist.get_world_size()),
    )
    found = {name: parameter.grad.full_tensor() for name, parameter in model.named_parameters()}
    model.zero_grad()
    return found, torch.tensor(astuple(summed(gather(stats)).mismatch))


def main() -> None:
    output, sharing = sys.argv[1], int(sys.argv[2])
    dist.init_process_group("gloo")
    world = dist.get_world_size()
    sharing = sharing or world
    shape, names = ((world,), ("data",)) if sharing == world else ((world // sharing, sharing), ("replicate", "shard"))
    model = PolicyModel(ModelConfig())
    model.shard(init_device_mesh("cpu", shape, mesh_dim_names=names), DType.float32)
    model.load(CPU).train()
    found = {}
    for only_one in (False, True):
        groups = all_groups(only_one)
        for share, counts in shares(world).items():
            for name, config in CONFIGS.items():
                batch = own_part(groups, counts, only_one)
                for spread in (True, False):
                    key = f"{'one response' if only_one else 'half'} {share} {name} spread={spread}"
                    found[key], mismatch = gradient(model, batch, config, spread)
                    found[f"mismatch {key}"] = {"all": mismatch}
    if dist.get_rank() == 0:
        torch.save(found, output)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
