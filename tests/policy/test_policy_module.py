"""The policy under a real Trainer with FSDP2: when it syncs, when it steps, and what it does when that goes wrong."""

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from tiny_runs import MODEL, Fitted, Then, fit, tiny_config, tokenizer, transformers_engine
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from transformers import AutoModelForCausalLM

from acereason.engines.engine import Generation, Request, Sampling
from acereason.engines.scripted_engine import ScriptedEngine
from acereason.policy.module import NonFiniteGradientError
from acereason.problems.problem import Problem


def initial_weights() -> dict[str, Tensor]:
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def whole(parameter: Tensor) -> Tensor:
    """FSDP2 leaves the root's parameters unsharded after a forward pass without a backward one."""
    return parameter.full_tensor() if isinstance(parameter, DTensor) else parameter


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    assert ours.keys() == theirs.keys()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def two_answers(request: Request) -> Sequence[int]:
    """`7` and `8` by turns, as the samples of each problem."""
    return tokenizer().encode("78"[request.id % 2])


def seven(problem: Problem, response: str) -> float:
    return float(response == "7")


class WatchedEngine:
    """The transformers engine, with a diary and a copy of its weights at each generation."""

    def __init__(self, diary: list[str]) -> None:
        self.inner = transformers_engine()
        self.diary = diary
        self.weights: list[dict[str, Tensor]] = []

    def generate(self, requests: Iterable[Request], sampling: Sampling, *rest: Any) -> Iterator[Generation]:
        self.diary.append("generate")
        self.weights.append({name: p.detach().clone() for name, p in self.inner.model.named_parameters()})
        yield from self.inner.generate(requests, sampling, *rest)

    def sync(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        self.diary.append("sync")
        self.inner.sync(weights)

    def sleep(self) -> None:
        self.diary.append("sleep")

    def close(self) -> None:
        self.inner.close()


def test_a_batch_is_sampled_with_the_weights_of_the_update_before_it(tmp_path: Path) -> None:
    diary: list[str] = []
    engine, policies = WatchedEngine(diary), []

    def note(trainer: Trainer, module: Any) -> None:
        diary.append(f"updated {module.curriculum.step}")
        policies.append({name: tensor.clone() for name, tensor in module.weights()})

    run = fit(tiny_config(tmp_path, "trainer.max_steps=3"), engine=engine, callbacks=[Then(note)])
    # Asleep while the policy is sharded and trained, so that on a GPU both fit.
    assert diary == ["sleep"] + [w for step in (1, 2, 3) for w in ("sync", "generate", "sleep", f"updated {step}")]
    assert same(engine.weights[0], initial_weights())
    assert same(engine.weights[1], policies[0])
    assert same(engine.weights[2], policies[1])
    assert not same(engine.weights[0], engine.weights[1])
    assert not same(engine.weights[1], engine.weights[2])
    assert max(run.recorder.of("rollout/logprob_gap_max")) <= 1e-4


def test_an_engine_that_is_not_synced_shows_in_the_log_prob_gap(tmp_path: Path) -> None:
    engine = transformers_engine()
    engine.sync = lambda weights: None  # type: ignore[method-assign]
    run = fit(tiny_config(tmp_path, "trainer.max_steps=3", "rollout.max_gap=.inf"), engine=engine)
    gaps = run.recorder.of("rollout/logprob_gap_max")
    assert gaps[0] <= 1e-4
    assert gaps[2] > 1e-3


def test_rollout_steps_and_optimizer_steps_are_counted_apart(finished_run: Fitted) -> None:
    assert finished_run.policy.curriculum.step == 4
    assert finished_run.trainer.global_step == 8
    assert [batch.step for batch in finished_run.recorder.batches] == [0, 1, 2, 3]
    assert "policy/clip_fraction" in finished_run.recorder.metrics[0]


def test_the_policy_is_sharded_in_float32_and_gives_whole_weights_by_their_hugging_face_names(
    finished_run: Fitted,
) -> None:
    model = finished_run.policy.model
    assert isinstance(model, FSDPModule)
    assert all(isinstance(p, DTensor) and p.dtype == torch.float32 for p in model.parameters())
    ours, initial = finished_run.weights(), initial_weights()
    assert {name: tensor.shape for name, tensor in ours.items()} == {n: t.shape for n, t in initial.items()}
    assert not any(isinstance(tensor, DTensor) for tensor in ours.values())
    assert not same(ours, initial)


def test_a_rewarded_first_token_becomes_the_rule(tmp_path: Path) -> None:
    overrides = ["trainer.max_steps=12", "curriculum.prompts_per_step=4", "curriculum.rollouts_per_prompt=16"]
    run = fit(tiny_config(tmp_path, *overrides, "curriculum.learning_rate=6e-4", "curriculum.max_response_tokens=1"))
    rewards = run.recorder.of("reward/mean")
    assert 0.2 < rewards[0] < 0.7
    assert sum(rewards[-4:]) / 4 > rewards[0] + 0.25


def test_updates_without_advantage_step_and_change_nothing(tmp_path: Path) -> None:
    run = fit(tiny_config(tmp_path), engine=ScriptedEngine(two_answers), judge=lambda p, r: 1.0)
    assert run.trainer.global_step == 2
    assert run.recorder.of("policy/grad_norm") == [0, 0]
    assert run.recorder.of("reward/solved_all") == [1, 1]
    assert same(run.weights(), initial_weights())


def test_the_rewarded_answer_becomes_likelier_and_the_other_one_less_so(tmp_path: Path) -> None:
    engine = ScriptedEngine(two_answers)
    run = fit(tiny_config(tmp_path, "trainer.max_steps=3"), engine=engine, judge=seven)
    assert engine.synced == 3
    assert set(engine.names) == set(initial_weights())
    prompt = run.recorder.batches[0].groups[0][0].prompt_ids
    change = first_log_probs(run.weights(), prompt) - first_log_probs(initial_weights(), prompt)
    (good,), (bad,) = tokenizer().encode("7"), tokenizer().encode("8")
    assert change[good] > 0
    assert change[good] > change[bad] + 0.01


def first_log_probs(weights: dict[str, Tensor], prompt: tuple[int, ...]) -> Tensor:
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    model.load_state_dict(weights, strict=False)
    with torch.no_grad():
        return torch.log_softmax(model(torch.tensor([prompt])).logits[0, -1], -1)


class TypeEngine(ScriptedEngine):
    """Notes the types of the weights that it is sent."""

    def __init__(self) -> None:
        super().__init__(two_answers)
        self.types: set[torch.dtype] = set()

    def sync(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        self.types |= {tensor.dtype for _, tensor in weights}


def test_weights_travel_to_the_engine_in_its_own_type(tmp_path: Path) -> None:
    engine = TypeEngine()
    run = fit(tiny_config(tmp_path, "trainer.max_steps=1", "engine.dtype=bfloat16"), engine=engine)
    assert engine.types == {torch.bfloat16}
    # Rounding first and gathering then gives what gathering first gives.
    sent = dict(run.policy.weights(torch.bfloat16))
    assert same(sent, {name: tensor.bfloat16() for name, tensor in run.weights().items()})


class BrokenEngine(ScriptedEngine):
    """Gives log-probs that are nan in some of its calls; importance weights carry them into the gradient."""

    def __init__(self, broken_calls: set[int]) -> None:
        super().__init__(two_answers)
        self.broken_calls = broken_calls
        self.calls = 0

    def generate(self, requests: Iterable[Request], sampling: Sampling, *rest: Any) -> Iterator[Generation]:
        logprob = math.nan if self.calls in self.broken_calls else -1.0
        self.calls += 1
        for made in super().generate(requests, sampling, *rest):
            yield Generation(made.request_id, made.token_ids, (logprob,) * len(made.token_ids), made.truncated)


def test_updates_that_are_not_finite_are_skipped_and_counted(tmp_path: Path) -> None:
    kept: list[dict[str, Tensor]] = []
    note = Then(lambda trainer, module: kept.append({n: t.clone() for n, t in module.weights()}))
    config = tiny_config(tmp_path, "trainer.max_steps=4", "grpo.correction=token_cap")
    run = fit(config, engine=BrokenEngine({0, 1, 3}), judge=seven, callbacks=[note])
    assert run.recorder.of("policy/skipped_updates") == [1, 2, 0, 1]
    assert run.policy.curriculum.step == 4
    assert run.trainer.global_step == 1
    assert same(kept[0], initial_weights())
    assert same(kept[1], initial_weights())
    assert not same(kept[2], kept[1])
    assert same(kept[3], kept[2])
    assert all(tensor.isfinite().all() for tensor in kept[3].values())


def test_three_updates_in_a_row_that_are_not_finite_end_the_run(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "trainer.max_steps=9", "grpo.correction=token_cap")
    engine = BrokenEngine({1, 2, 3})
    with pytest.raises(NonFiniteGradientError) as caught:
        fit(config, engine=engine, judge=seven)
    assert engine.calls == 4
    for part in ("3 updates in a row", "rollout step 3", "curriculum.learning_rate=0.001"):
        assert part in str(caught.value)


def test_the_learning_rate_warms_up_and_then_follows_the_curriculum(tmp_path: Path) -> None:
    def halve_after_step_5(trainer: Trainer, module: Any) -> None:
        if module.curriculum.step == 5:
            module.curriculum.change("a test", "to see it", learning_rate=module.curriculum.learning_rate / 2)

    config = tiny_config(tmp_path, "trainer.max_steps=6", "optimizer.warmup_steps=4")
    run = fit(config, engine=ScriptedEngine(two_answers), judge=seven, callbacks=[Then(halve_after_step_5)])
    assert run.recorder.learning_rates == pytest.approx([0.25e-3, 0.5e-3, 0.75e-3, 1e-3, 1e-3, 0.5e-3])


class StepNorms(Callback):
    """The gradient norm that the optimizer gets to see."""

    def __init__(self) -> None:
        self.norms: list[float] = []

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        def measure(optimizer: torch.optim.Optimizer, *_: object) -> None:
            gradients = [p.grad.full_tensor() for group in optimizer.param_groups for p in group["params"]]
            self.norms.append(torch.nn.utils.get_total_norm(gradients).item())

        trainer.optimizers[0].register_step_pre_hook(measure)


def test_gradients_are_clipped_to_the_norm_that_is_set(tmp_path: Path) -> None:
    seen = StepNorms()
    config = tiny_config(tmp_path, "optimizer.max_grad_norm=0.001")
    run = fit(config, engine=ScriptedEngine(two_answers), judge=seven, callbacks=[seen])
    assert seen.norms == pytest.approx([0.001] * 2, rel=1e-3)
    assert min(run.recorder.of("policy/grad_norm")) > 0.01  # as it was before clipping
    free = StepNorms()
    loose = tiny_config(tmp_path, "optimizer.max_grad_norm=1e6")
    run = fit(loose, engine=ScriptedEngine(two_answers), judge=seven, callbacks=[free])
    assert free.norms == pytest.approx(run.recorder.of("policy/grad_norm"), rel=1e-4)


def test_the_kl_term_is_taken_to_the_initial_policy_which_stays_as_it_was(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "trainer.max_steps=3", "grpo.kl_coefficient=0.01")
    run = fit(config, engine=ScriptedEngine(two_answers), judge=seven)
    first, *later = run.recorder.of("policy/kl")
    assert first == pytest.approx(0, abs=1e-9)
    assert min(later) > 1e-6
    assert run.policy.reference is not None
    reference = {name.removeprefix("language_model."): whole(p) for name, p in run.policy.reference.named_parameters()}
    assert same(reference, initial_weights())
    assert not same(run.weights(), initial_weights())


def test_without_the_kl_term_there_is_no_reference(finished_run: Fitted) -> None:
    assert finished_run.policy.reference is None
    assert "policy/kl" not in finished_run.recorder.metrics[0]
