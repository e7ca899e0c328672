"""One row of `gap.py`: responses of vLLM, and how far the policy's log-probs of their tokens are from the engine's.

    python -m perf.training.gap_side MODEL ENGINE_DTYPE HEAD_DTYPE POLICY_DTYPE RESPONSES TOKENS

HEAD_DTYPE is that of the engine's head, `model` for the engine's own. Prints one line of JSON.
"""

from __future__ import annotations

import json
import sys

import torch
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from transformers import AutoTokenizer

from acereason.config.schema import DType, EngineConfig, ModelConfig
from acereason.engines.engine import Generation, Request, Sampling
from acereason.engines.prompt import make_prompt
from acereason.engines.vllm_engine import VLLMEngine
from acereason.policy.model import PolicyModel
from acereason.policy.packing import ResponseTokens, pack
from acereason.problems.laptop import laptop_problems
from acereason.training.build import quiet

CPU = torch.device("cpu")


def sampled(model: str, dtype: str, head: str, responses: int, tokens: int) -> list[tuple[Request, Generation]]:
    """Return responses of vLLM to prompts of the laptop problems."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    prompts = [
        make_prompt(problem, tokenizer).ids for problem in laptop_problems("math", "held_out", responses, (2, 9))
    ]
    options = {} if head == "model" else {"hf_overrides": {"head_dtype": head}}
    config = EngineConfig(dtype=DType(dtype), max_num_seqs=responses, options=options)
    engine = VLLMEngine(model, config, max(map(len, prompts)) + tokens, CPU)
    requests = [Request(number, ids, number) for number, ids in enumerate(prompts)]
    return [(requests[made.request_id], made) for made in engine.generate(requests, Sampling(tokens))]


def policy_of(model: str, dtype: str) -> PolicyModel:
    """Return the policy in its shards, on one rank, computing in `dtype`; vLLM has made the process group."""
    policy = PolicyModel(ModelConfig(path=model))
    policy.shard(init_device_mesh("cpu", (1,)), DType(dtype))
    return policy.load(CPU)


@torch.no_grad()
def differences(policy: PolicyModel, made: list[tuple[Request, Generation]]) -> list[Tensor]:
    """Return the policy's log-probs less the engine's, a tensor a response."""
    found = []
    for request, generation in made:
        packed = pack([ResponseTokens(0, 0, request.prompt_ids, generation.token_ids)])
        found.append(policy(packed, 1.0)[0] - torch.tensor(generation.logprobs))
    return found


def main() -> None:
    """Measure and print."""
    model, engine, head, policy, responses, tokens = sys.argv[1:]
    quiet()
    made = sampled(model, engine, head, int(responses), int(tokens))
    parts = differences(policy_of(model, policy), made)
    gaps, means = torch.cat(parts), torch.stack([part.mean() for part in parts]).exp()
    ratios, within = gaps.exp(), ((means >= 0.99) & (means <= 1.01)).float().mean().item()
    figures = {
        "mean": gaps.abs().mean().item(),
        "max": gaps.abs().max().item(),
        "outside": ((ratios < 0.9) | (ratios > 1.1)).float().mean().item(),
        "rejected": 1 - within,
    }
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
