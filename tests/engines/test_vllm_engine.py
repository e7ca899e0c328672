"""The real vLLM, in a process of its own: same seed, same tokens; right log-probs; new weights after a sync."""

import json
import subprocess
import sys

import pytest
import torch
from fresh_process import fresh_environment

from acereason.config.compose import compose
from acereason.engines.vllm_engine import VLLMEngine
from acereason.errors import UserError

SCRIPT = r"""
import json, sys
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from acereason.config.compose import compose
from acereason.problems.laptop import laptop_problems
from acereason.engines.prompt import make_prompt
from acereason.engines.engine import Request, Sampling
from acereason.engines.vllm_engine import VLLMEngine
from acereason.engines.vllm_weights import sync_weights

path = "models/laptop"
tokenizer = AutoTokenizer.from_pretrained(path)
engine = VLLMEngine(path, compose([]).engine, 160, torch.device("cpu"))
prompts = [make_prompt(p, tokenizer).ids for p in laptop_problems("math", "held_out", 40, (2, 9))]
requests = [Request(i, prompts[i % 40], 1000 + i) for i in range(120)]

def sample(requests, sampling):
    return {g.request_id: g for g in engine.generate(requests, sampling)}

def policy_gap(generations, temperature, model):
    worst = 0.0
    for request in requests[:40]:
        g = generations[request.id]
        logits = model(torch.tensor([request.prompt_ids + g.token_ids])).logits[0, len(request.prompt_ids) - 1 : -1]
        log_p = torch.log_softmax(logits / temperature, -1)[torch.arange(len(g.token_ids)), torch.tensor(g.token_ids)]
        worst = max(worst, (log_p - torch.tensor(g.logprobs)).abs().max().item())
    return worst

model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).requires_grad_(False)
whole = sample(requests, Sampling(64))
alone = {r.id: sample([r], Sampling(64))[r.id] for r in requests[:6]}
shuffled = sample(requests[::-1], Sampling(64))
short = sample(requests, Sampling(8))
facts = {
    "answered": len(whole),
    "alone": all(alone[i] == whole[i] for i in alone),
    "shuffled": shuffled == whole,
    "seeds_matter": len({whole[i].token_ids for i in (0, 40, 80)}) > 1,
    "truncated": all(g.truncated == (len(g.token_ids) == 8 and g.token_ids[-1] != 0) for g in short.values()),
    "some_truncated": sum(g.truncated for g in short.values()),
    "gap": [policy_gap(sample(requests, Sampling(64, t)), t, model) for t in (1.0, 0.6)],
    "full_length": {len(g.token_ids) for g in sample(requests, Sampling(20, ignore_eos=True)).values()} == {20},
}
torch.manual_seed(0)
for parameter in model.parameters():
    parameter.add_(torch.randn_like(parameter) * 0.02)
stale = policy_gap(whole, 1.0, model)
# As after a sleep on a GPU that dropped all weights: no tensor of the engine may be left out.
sync_weights(engine.llm, model.named_parameters(), torch.float32, torch.clone, dropped=True)
engine.sync((name, tensor) for name, tensor in model.named_parameters())
engine._asleep = True
try:
    sample(requests[:1], Sampling(8))
except RuntimeError as error:
    facts["asleep"] = str(error)
engine._asleep = False
facts["gap_before_sync"], facts["gap_after_sync"] = stale, policy_gap(sample(requests, Sampling(64)), 1.0, model)
print(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def facts() -> dict:
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, env=fresh_environment(), capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_seed_gives_the_same_tokens_and_log_probs_whatever_the_batch(facts: dict) -> None:
    assert facts["answered"] == 120
    assert facts["alone"]
    assert facts["shuffled"]
    assert facts["seeds_matter"]


def test_an_engine_that_dropped_its_weights_does_not_generate_before_a_sync(facts: dict) -> None:
    assert facts["asleep"].startswith("the engine dropped its weights when it went to sleep: sync it before")


def test_a_response_is_truncated_when_it_reaches_the_limit_without_an_end(facts: dict) -> None:
    assert facts["truncated"]
    assert 0 < facts["some_truncated"] < 120
    assert facts["full_length"]


def test_log_probs_are_those_after_the_temperature(facts: dict) -> None:
    assert max(facts["gap"]) <= 1e-4


def test_a_sync_brings_every_weight_tied_head_included(facts: dict) -> None:
    assert facts["gap_before_sync"] > 1e-2
    assert facts["gap_after_sync"] <= 1e-4


HALF = (
    SCRIPT[: SCRIPT.index("model = ")].replace("compose([])", "compose(sys.argv[1:])")
    + r"""
model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).requires_grad_(False)
head = engine.llm.apply_model(lambda model: str(model.logits_processor.head_dtype))[0]
gaps = [policy_gap(sample(requests[:40], Sampling(64)), 1.0, model)]
torch.manual_seed(0)
for parameter in model.parameters():
    parameter.add_(torch.randn_like(parameter) * 0.02)
engine.sync((name, tensor) for name, tensor in model.named_parameters())
gaps.append(policy_gap(sample(requests[:40], Sampling(64)), 1.0, model))
print(json.dumps({"head": head, "gaps": gaps}))
"""
)


def test_float16_with_a_float32_head_before_and_after_a_sync() -> None:
    """Both computed here in float32; the head takes another path in vLLM than one of the engine's own type."""
    words = ["engine.dtype=float16", "engine.options={hf_overrides: {head_dtype: float32}}"]
    command = [sys.executable, "-c", HALF, *words]
    done = subprocess.run(command, env=fresh_environment(), capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["head"] == "torch.float32"
    assert all(1e-5 < gap < 0.05 for gap in found["gaps"])


def test_kernels_for_gpus_alone_are_refused_on_the_cpu() -> None:
    config = compose(["engine.batch_invariant=true"]).engine
    with pytest.raises(UserError, match=r"engine\.batch_invariant=true: .* leave it out"):
        VLLMEngine("models/laptop", config, 160, torch.device("cpu"))
