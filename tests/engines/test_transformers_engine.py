"""The transformers engine: the policy's own probabilities, seeds that decide everything, the weights as synced."""

import math

import pytest
import torch
from tiny_runs import MODEL, prompts, tokenizer, transformers_engine
from transformers import AutoModelForCausalLM

from acereason.engines.engine import Generation, Request, Sampling
from acereason.engines.transformers_engine import TransformersEngine, sampling_logprobs
from acereason.policy.model import PolicyModel
from acereason.policy.packing import ResponseTokens, pack


@pytest.fixture(scope="module")
def engine() -> TransformersEngine:
    return transformers_engine()


def requests(prompt_count: int = 4, samples: int = 4) -> list[Request]:
    return [Request(i, prompts(8)[i // samples].ids, seed=1000 + i) for i in range(prompt_count * samples)]


def answers(engine: TransformersEngine, asked: list[Request], sampling: Sampling) -> dict[int, Generation]:
    found = {generation.request_id: generation for generation in engine.generate(asked, sampling)}
    assert sorted(found) == sorted(request.id for request in asked)
    return found


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_log_probs_are_those_of_the_packed_policy(
    engine: TransformersEngine, policy_model: PolicyModel, temperature: float
) -> None:
    asked = requests()
    found = answers(engine, asked, Sampling(24, temperature))
    sequences = [ResponseTokens(r.id, r.id // 4, r.prompt_ids, found[r.id].token_ids) for r in asked]
    with torch.no_grad():
        expected, _ = policy_model(pack(sequences), temperature)
    logprobs = torch.tensor([value for r in asked for value in found[r.id].logprobs])
    assert (logprobs - expected).abs().max() <= 1e-4
    assert logprobs.min() < -0.5  # not all tokens are certain


def test_a_seed_gives_the_same_tokens_whatever_else_is_in_the_batch(engine: TransformersEngine) -> None:
    asked, sampling = requests(), Sampling(16)
    together = answers(engine, asked, sampling)
    backwards = answers(engine, asked[::-1], sampling)
    narrow = transformers_engine(max_num_seqs=3)
    few = answers(narrow, asked, sampling)
    for request in asked:
        assert together[request.id].token_ids == backwards[request.id].token_ids == few[request.id].token_ids
    [alone] = engine.generate([asked[5]], sampling)
    assert alone.token_ids == together[5].token_ids


def test_seeds_differ_in_what_they_sample(engine: TransformersEngine) -> None:
    asked = [Request(i, prompts(1)[0].ids, seed=i) for i in range(32)]
    found = answers(engine, asked, Sampling(16))
    assert len({generation.token_ids for generation in found.values()}) > 5


def test_tokens_are_drawn_as_often_as_their_log_probs_say(engine: TransformersEngine) -> None:
    asked = [Request(i, prompts(1)[0].ids, seed=i) for i in range(2000)]
    engine.max_num_seqs = 2000
    drawn = [(g.token_ids[0], g.logprobs[0]) for g in engine.generate(asked, Sampling(1))]
    engine.max_num_seqs = 64
    for token, logprob in set(drawn):
        probability, share = math.exp(logprob), sum(t == token for t, _ in drawn) / 2000
        if probability > 0.05:
            assert abs(share - probability) < 4 * math.sqrt(probability * (1 - probability) / 2000)
    assert len({token for token, _ in drawn}) >= 2


def test_a_response_is_truncated_when_the_limit_ends_it_and_not_when_it_ends_itself(engine: TransformersEngine) -> None:
    found = answers(engine, requests(), Sampling(12)).values()
    end = tokenizer().eos_token_id
    assert {generation.truncated for generation in found} == {True, False}
    for generation in found:
        assert len(generation.token_ids) == len(generation.logprobs) <= 12
        assert generation.truncated == (generation.token_ids[-1] != end)
        assert end not in generation.token_ids[:-1]
        assert not generation.truncated or len(generation.token_ids) == 12


def test_benchmarks_can_sample_past_the_end_token(engine: TransformersEngine) -> None:
    found = answers(engine, requests(), Sampling(12, ignore_eos=True)).values()
    assert {len(generation.token_ids) for generation in found} == {12}
    assert all(generation.truncated for generation in found)
    assert any(tokenizer().eos_token_id in generation.token_ids[:-1] for generation in found)


def test_temperature_0_takes_the_best_token(engine: TransformersEngine, plain_model: AutoModelForCausalLM) -> None:
    found = answers(engine, requests(2, 1), Sampling(10, temperature=0))
    for number, generation in found.items():
        ids = list(prompts(8)[number].ids)
        for token in generation.token_ids:
            with torch.no_grad():
                assert token == plain_model(torch.tensor([ids])).logits[0, -1].argmax()
            ids.append(token)
        assert set(generation.logprobs) == {0.0}


def logits(*probabilities: float) -> torch.Tensor:
    return torch.tensor([probabilities]).log()


def test_top_p_keeps_the_smallest_nucleus_and_renormalises_it() -> None:
    kept = sampling_logprobs(logits(0.15, 0.5, 0.05, 0.3), Sampling(1, top_p=0.7)).exp()
    assert torch.allclose(kept, torch.tensor([[0, 0.625, 0, 0.375]]))
    only = sampling_logprobs(logits(0.15, 0.6, 0.05, 0.2), Sampling(1, top_p=0.55)).exp()
    assert torch.allclose(only, torch.tensor([[0, 1.0, 0, 0]]))


def test_the_nucleus_is_taken_after_the_temperature() -> None:
    # At temperature 0.5 probabilities 0.5, 0.3, 0.2 become 25/38, 9/38, 4/38; the first two hold 34/38 = 0.89.
    tempered = sampling_logprobs(logits(0.5, 0.3, 0.2), Sampling(1, temperature=0.5)).exp()
    assert torch.allclose(tempered, torch.tensor([[25, 9, 4]]) / 38)
    kept = sampling_logprobs(logits(0.5, 0.3, 0.2), Sampling(1, temperature=0.5, top_p=0.8)).exp()
    assert torch.allclose(kept, torch.tensor([[25, 9, 0]]) / 34)


def test_a_narrow_nucleus_is_never_left(engine: TransformersEngine) -> None:
    found = answers(engine, requests(), Sampling(12, top_p=0.01)).values()
    assert {value for generation in found for value in generation.logprobs} == {0.0}


def test_after_a_sync_it_generates_with_the_new_weights() -> None:
    engine, sampling = transformers_engine(), Sampling(12)
    before = answers(engine, requests(), sampling)
    other = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=noise))
    engine.sync((name, parameter.detach()) for name, parameter in other.named_parameters())
    after = answers(engine, requests(), sampling)
    assert any(before[i].token_ids != after[i].token_ids for i in before)
    ids = torch.tensor([prompts(8)[0].ids])
    with torch.no_grad():
        expected = torch.log_softmax(other(ids).logits[0, -1], -1)
    assert after[0].logprobs[0] == pytest.approx(expected[after[0].token_ids[0]].item(), abs=1e-5)
