"""Policies of other families than the laptop's: packed log-probs and gradients are those of each response alone."""

from pathlib import Path

import pytest
import torch
from tiny_runs import CPU
from transformers import AutoConfig, AutoModelForCausalLM

from acereason.config.schema import ModelConfig
from acereason.policy.attention import FlexPlan
from acereason.policy.model import PolicyModel
from acereason.policy.packing import ResponseTokens, pack

SIZES = {"vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
SIZES |= {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128}
SIZES |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
RESPONSES = [
    ResponseTokens(0, 0, (5, 6, 7), (8, 9, 10, 11)),
    ResponseTokens(1, 0, (5, 6, 7), (20, 21)),
    ResponseTokens(2, 1, (30, 31), (32, 33, 34)),
    ResponseTokens(3, 2, (40, 41, 42, 43, 44), (45, 46, 47, 48, 49, 50)),
]


WINDOW = 3
KINDS = ["sliding_attention", "full_attention"]
CAPS = {"attn_logit_softcapping": 0.1, "final_logit_softcapping": 0.2}
YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 32}
SLIDING = {
    "mistral": {"sliding_window": WINDOW},
    "qwen2": {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 1},
    "gemma2": {"sliding_window": WINDOW, "layer_types": KINDS, **CAPS},
    "gemma3_text": {"sliding_window": WINDOW, "layer_types": KINDS},
    "phi3": {"sliding_window": WINDOW},
}
PLAIN = ("llama", "mistral", "qwen2", "qwen3", "phi3", "olmo2", "gpt_neox")
FAMILIES = [*((family, {}) for family in PLAIN), *SLIDING.items(), ("llama", {"rope_parameters": YARN})]
FAMILIES += [("gpt_neox", {"tie_word_embeddings": True})]
FAMILIES += [("gemma3_text", {"tie_word_embeddings": False, **SLIDING["gemma3_text"]})]


@pytest.mark.parametrize(("family", "more"), FAMILIES, ids=["-".join([family, *more][:2]) for family, more in FAMILIES])
def test_packed_responses_are_computed_as_if_each_stood_alone(tmp_path: Path, family: str, more: dict) -> None:
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **SIZES, **({"sliding_window": None} | more))
    plain = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
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


@pytest.mark.parametrize("family", SLIDING)
def test_a_sliding_window_changes_what_is_computed(tmp_path: Path, family: str) -> None:
    """Or the test above would say nothing about windows."""
    found = []
    for more in (SLIDING[family], {"sliding_window": 128}):
        torch.manual_seed(0)
        config = AutoConfig.for_model(family, **SIZES, **(SLIDING[family] | more))
        AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
        policy = PolicyModel(ModelConfig(path=str(tmp_path))).load(CPU)
        found.append(policy(pack(RESPONSES), 1.0)[0])
    assert (found[0] - found[1]).abs().max() > 1e-4


@pytest.mark.parametrize("family", SLIDING)
def test_the_mask_for_gpus_has_the_same_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str) -> None:
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **SIZES, **SLIDING[family])).save_pretrained(tmp_path)
    policy = PolicyModel(ModelConfig(path=str(tmp_path))).load(CPU)
    with torch.no_grad():
        buckets, _ = policy(pack(RESPONSES), 1.0)
        monkeypatch.setattr("acereason.policy.attention.plan_attention", FlexPlan)
        flex, _ = policy(pack(RESPONSES), 1.0)
    assert (buckets - flex).abs().max() < 1e-4


@pytest.mark.parametrize("cap", CAPS)
def test_a_soft_cap_changes_what_is_computed(tmp_path: Path, cap: str) -> None:
    found = []
    for value in (CAPS[cap], 1e4):
        torch.manual_seed(0)
        config = AutoConfig.for_model("gemma2", **SIZES, **(SLIDING["gemma2"] | {"initializer_range": 0.3, cap: value}))
        AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
        found.append(PolicyModel(ModelConfig(path=str(tmp_path))).load(CPU)(pack(RESPONSES), 1.0)[0])
    assert (found[0] - found[1]).abs().max() > 1e-5
