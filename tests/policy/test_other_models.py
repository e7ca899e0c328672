"""Policies of other families than the laptop's: packed log-probs and gradients are those of each response alone."""

from pathlib import Path

import pytest
import torch
from tiny_runs import CPU
from transformers import AutoConfig, AutoModelForCausalLM

from acereason.config.schema import ModelConfig
from acereason.policy.model import PolicyModel
from acereason.policy.packing import ResponseTokens, pack

SIZES = {"vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
SIZES |= {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128}
RESPONSES = [
    ResponseTokens(0, 0, (5, 6, 7), (8, 9, 10, 11)),
    ResponseTokens(1, 0, (5, 6, 7), (20, 21)),
    ResponseTokens(2, 1, (30, 31), (32, 33, 34)),
]


@pytest.mark.parametrize("family", ["llama", "mistral", "qwen2", "qwen3"])
def test_packed_responses_are_computed_as_if_each_stood_alone(tmp_path: Path, family: str) -> None:
    torch.manual_seed(0)
    plain = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **SIZES), attn_implementation="eager")
    plain.save_pretrained(tmp_path)
    policy = PolicyModel(ModelConfig(path=str(tmp_path))).load(CPU).train()
    logprobs, _ = policy(pack(RESPONSES), 1.0)
    rows = []
    for response in RESPONSES:
        ids = torch.tensor([response.prompt_ids + response.response_ids])
        log_p = torch.log_softmax(plain(ids).logits[0, len(response.prompt_ids) - 1 : -1], -1)
        rows.append(log_p.gather(1, torch.tensor(response.response_ids)[:, None])[:, 0])
    expected = torch.cat(rows)
    assert (logprobs - expected).abs().max() <= 1e-5
    logprobs.square().sum().backward()
    expected.square().sum().backward()
    theirs = dict(plain.named_parameters())
    for name, parameter in policy.language_model.named_parameters():
        assert torch.allclose(parameter.grad, theirs[name].grad, rtol=1e-4, atol=1e-4), name
