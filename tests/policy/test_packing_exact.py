"""Packing, the chunked head and skipping change nothing but the time: log-probs and gradients stay the same."""

import random

import pytest
import torch
from transformers import AutoModelForCausalLM

from acereason.config.schema import GRPOConfig, ModelConfig, Normalisation
from acereason.policy.attention import FlexPlan
from acereason.policy.head import chunked_logprobs
from acereason.policy.model import PolicyModel
from acereason.policy.packing import ResponseTokens, pack
from acereason.policy.update import Responses, accumulate_gradients, plan

MODEL = "models/laptop"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model() -> PolicyModel:
    return PolicyModel(ModelConfig(path=MODEL, head_chunk_tokens=37)).load(CPU).train()


def random_responses(groups: int, rollouts: int, seed: int = 0) -> list[ResponseTokens]:
    """Groups with prompts of 5 to 40 tokens and responses of 1 to 60."""
    rng = random.Random(seed)
    sequences = []
    for group in range(groups):
        prompt = tuple(rng.randrange(4, 260) for _ in range(rng.randint(5, 40)))
        for _ in range(rollouts):
            response = tuple(rng.randrange(4, 260) for _ in range(rng.randint(1, 60)))
            sequences.append(ResponseTokens(len(sequences), group, prompt, response))
    return sequences


def plain_logprobs(
    sequences: list[ResponseTokens], temperature: float, language_model: torch.nn.Module
) -> torch.Tensor:
    """Each response in a row of its own, full logits, nothing shared: the definition."""
    rows = []
    for sequence in sequences:
        ids = torch.tensor([sequence.prompt_ids + sequence.response_ids])
        logits = language_model(input_ids=ids).logits[0, len(sequence.prompt_ids) - 1 : -1] / temperature
        rows.append(torch.log_softmax(logits, -1)[torch.arange(len(logits)), torch.tensor(sequence.response_ids)])
    return torch.cat(rows)


def gradient(module: torch.nn.Module) -> torch.Tensor:
    flat = torch.cat([p.grad.flatten() for _, p in sorted(module.named_parameters())])
    module.zero_grad()
    return flat


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_packed_logprobs_and_gradients_equal_plain_rows(model: PolicyModel, temperature: float) -> None:
    sequences = random_responses(groups=5, rollouts=7)
    plain = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32, attn_implementation="eager")
    expected = plain_logprobs(sequences, temperature, plain)
    logprobs, _ = model(pack(sequences), temperature)
    assert (logprobs - expected).abs().max() < 1e-4
    weights = torch.randn(len(logprobs), generator=torch.Generator().manual_seed(0))
    (logprobs * weights).sum().backward()
    (expected * weights).sum().backward()
    assert relative(gradient(model), gradient(plain)) <= 1e-5


def test_split_into_micro_batches_gives_the_same_gradient(model: PolicyModel) -> None:
    sequences = random_responses(groups=4, rollouts=6)
    whole = [sequences]
    split = plan(Responses(sequences, torch.ones(24), torch.ones(24), [], torch.ones(24, dtype=torch.bool)), 150)
    assert len(split) > 5
    assert relative(_loss_gradient(model, sequences, split), _loss_gradient(model, sequences, whole)) <= 1e-5


def test_skipping_responses_without_advantage_gives_the_same_gradient(model: PolicyModel) -> None:
    sequences = random_responses(groups=4, rollouts=6)
    advantages = torch.randn(24, generator=torch.Generator().manual_seed(1))
    advantages[6:12] = 0
    active = advantages != 0
    kept = [s for s, keep in zip(sequences, active.tolist(), strict=True) if keep]
    skipped = _loss_gradient(model, sequences, [kept], advantages, active)
    computed = _loss_gradient(model, sequences, [sequences], advantages)
    assert relative(skipped, computed) <= 1e-5


def _loss_gradient(
    model: PolicyModel,
    sequences: list[ResponseTokens],
    batches: list[list[ResponseTokens]],
    advantages: torch.Tensor | None = None,
    active: torch.Tensor | None = None,
) -> torch.Tensor:
    count = len(sequences)
    if advantages is None:
        advantages = torch.randn(count, generator=torch.Generator().manual_seed(1))
    if active is None:
        active = torch.ones(count, dtype=torch.bool)
    engine = [torch.zeros(len(s.response_ids)) for s in sequences]
    responses = Responses(sequences, advantages, torch.full((count,), 1 / 500), engine, active)
    config = GRPOConfig(normalisation=Normalisation.batch)
    accumulate_gradients(model, responses, batches, config, 1.0, CPU)
    return gradient(model)


@pytest.mark.parametrize("block", [2**24, 200], ids=["one block", "blocks of 2 and 12 rows"])
def test_chunked_head_equals_full_logits_and_its_gradients(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr("acereason.policy.head.BLOCK", block)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(50, 16, dtype=torch.float64, generator=generator, requires_grad=True)
    weight = torch.randn(90, 16, dtype=torch.float64, generator=generator, requires_grad=True)
    targets = torch.randint(90, (50,), generator=generator)
    weights = torch.randn(2, 50, generator=generator)
    log_p = torch.log_softmax((hidden @ weight.t()).float() / 0.7, -1)
    expected = (log_p.gather(1, targets[:, None])[:, 0], -(log_p.exp() * log_p).sum(-1))
    chunked = chunked_logprobs(hidden, weight, targets, 0.7, 8, True)
    gradients = []
    for logprobs, entropies in (expected, chunked):
        loss = (logprobs * weights[0]).sum() + (entropies * weights[1]).sum()
        gradients.append(
            torch.cat([g.flatten() for g in torch.autograd.grad(loss, (hidden, weight), retain_graph=True)])
        )
    assert torch.allclose(chunked[0], expected[0], atol=1e-5)
    assert torch.allclose(chunked[1], expected[1], atol=1e-5)
    assert relative(gradients[1], gradients[0]) <= 1e-5


def test_gpu_mask_gives_the_same_logprobs_as_the_cpu_buckets(
    model: PolicyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = pack(random_responses(groups=3, rollouts=4))
    with torch.no_grad():
        buckets, _ = model(packed, 1.0)
        monkeypatch.setattr("acereason.policy.attention.plan_attention", FlexPlan)
        flex, _ = model(packed, 1.0)
    assert (buckets - flex).abs().max() < 1e-4


def test_a_prompt_is_stored_once_for_its_group() -> None:
    prompt = (10, 11, 12)
    packed = pack([ResponseTokens(0, 0, prompt, (20, 21)), ResponseTokens(1, 0, prompt, (30,))])
    assert packed.input_ids.tolist() == [10, 11, 12, 20, 21, 30]
    assert packed.positions.tolist() == [0, 1, 2, 3, 4, 3]
    assert packed.predictors.tolist() == [2, 3, 2]
    assert packed.targets.tolist() == [20, 21, 30]


def test_a_loaded_model_has_float32_weights(model: PolicyModel) -> None:
    assert {p.dtype for p in model.parameters()} == {torch.float32}
