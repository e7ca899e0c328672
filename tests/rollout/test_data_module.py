"""The data module: what a step samples is decided when the step begins, from the curriculum as it is then."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from lightning.pytorch import Trainer
from tiny_runs import Fitted, JudgeHere, Then, fit, problems, starts_with_a, tiny_config, tokenizer

from acereason import grpo
from acereason.config.schema import AdvantageKind
from acereason.engines.engine import Request
from acereason.engines.scripted_engine import ScriptedEngine
from acereason.engines.session import model_context
from acereason.errors import UserError
from acereason.rollout.batch import RolloutBatch
from acereason.rollout.curriculum import Curriculum
from acereason.rollout.data import RolloutDataModule, data_of, shuffled
from acereason.rollout.draw import choose_prompts

IDS = [problem.id for problem in problems(8)]


def data_module(root: Path, *overrides: str, engine: ScriptedEngine | None = None) -> RolloutDataModule:
    config = tiny_config(root, *overrides)
    curriculum = Curriculum.from_config(config)
    sources = {"problems": problems(8)}
    return RolloutDataModule(config, curriculum, sources, problems(12)[8:], engine, JudgeHere(starts_with_a))


def chosen(batch: RolloutBatch) -> list[str]:
    return [group[0].problem.id for group in batch.groups]


def test_the_loader_yields_the_steps_still_to_do_and_nothing_else(tmp_path: Path) -> None:
    data = data_module(tmp_path, "trainer.max_steps=5")
    assert list(data.train_dataloader()) == [0, 1, 2, 3, 4]
    for _ in range(3):
        data.curriculum.advance()
    assert list(data.train_dataloader()) == [3, 4]
    assert len(data.train_dataloader()) == 2


def test_batches_hold_what_their_step_draws(finished_run: Fitted) -> None:
    for step, batch in enumerate(finished_run.recorder.batches):
        assert batch.step == step
        assert chosen(batch) == choose_prompts(IDS, 0, step, 2)[0]
        assert [[r.sample for r in group] for group in batch.groups] == [[0, 1, 2, 3]] * 2
        assert batch.rewards.tolist() == [[r.verdict.reward for r in group] for group in batch.groups]
        assert torch.equal(batch.advantages, grpo.advantages(batch.rewards, AdvantageKind.group_std))
        assert set(batch.seconds) == {"sync", "generate", "verify_exposed"}


def test_the_temperature_of_a_batch_is_that_of_the_curriculum_when_it_was_sampled(finished_run: Fitted) -> None:
    temperatures = [batch.temperature for batch in finished_run.recorder.batches]
    assert temperatures == pytest.approx([1.0, 0.95, 0.9, 0.85])
    assert max(finished_run.recorder.of("rollout/logprob_gap_max")[:1]) <= 1e-4


def test_a_change_of_the_curriculum_reaches_the_very_next_batch(tmp_path: Path) -> None:
    asked: list[Request] = []

    def script(request: Request) -> list[int]:
        asked.append(request)
        return tokenizer().encode("a1+4b+8=5")

    def narrow(trainer: Trainer, module: Any) -> None:
        if module.curriculum.step == 2:
            pool = [IDS[5], IDS[6], IDS[7]]
            sizes = {"prompts_per_step": 3, "rollouts_per_prompt": 2, "max_response_tokens": 1}
            module.curriculum.change("a test", "to see it", pool=pool, **sizes)

    run = fit(tiny_config(tmp_path, "trainer.max_steps=4"), engine=ScriptedEngine(script), callbacks=[Then(narrow)])
    sizes = [(len(batch.groups), len(batch.groups[0])) for batch in run.recorder.batches]
    assert sizes == [(2, 4), (2, 4), (3, 2), (3, 2)]
    assert [len(batch.rollouts[0].generation.token_ids) for batch in run.recorder.batches] == [2, 2, 1, 1]
    assert sorted(chosen(run.recorder.batches[2])) == sorted(IDS[5:8])
    assert run.recorder.of("curriculum/max_response_tokens") == [2, 2, 1, 1]
    assert len({request.seed for request in asked}) == len(asked) == 28


def test_shuffled_rewards_are_the_same_ones_at_other_places(tmp_path: Path) -> None:
    rewards = torch.arange(32.0).view(4, 8)
    moved = shuffled(rewards, 0, 3)
    assert moved.shape == (4, 8)
    assert sorted(moved.flatten().tolist()) == rewards.flatten().tolist()
    assert not torch.equal(moved, rewards)
    assert (moved // 8 != rewards // 8).any()  # across groups, not within them alone
    assert torch.equal(moved, shuffled(rewards, 0, 3))
    assert not torch.equal(moved, shuffled(rewards, 0, 4))
    assert not torch.equal(moved, shuffled(rewards, 1, 3))


def test_the_control_learns_from_shuffled_rewards_and_keeps_the_verdicts(tmp_path: Path) -> None:
    overrides = ["rewards.shuffle=true", "curriculum.prompts_per_step=4", "trainer.max_steps=1"]
    run = fit(tiny_config(tmp_path, *overrides), engine=alternating(), judge=lambda p, r: float(r == "7"))
    [batch] = run.recorder.batches
    verdicts = torch.tensor([[r.verdict.reward for r in group] for group in batch.groups])
    assert verdicts.tolist() == [[1, 0, 1, 0]] * 4
    assert torch.equal(batch.rewards, shuffled(verdicts, 0, 0))
    assert torch.equal(batch.advantages, grpo.advantages(batch.rewards, AdvantageKind.group_std))


def alternating() -> ScriptedEngine:
    return ScriptedEngine(lambda request: tokenizer().encode("78"[request.id % 2]))


def test_held_out_evaluation_repeats_itself_while_the_policy_stays_the_same(tmp_path: Path) -> None:
    found: list[tuple[int, list[str]]] = []

    def validate(trainer: Trainer, module: Any) -> None:
        for _ in range(2):
            step, result = module.curriculum.step, data_of(trainer).validate()
            assert result is not None
            assert [scores.problem for scores in result.domains["math"].problems] == [p.id for p in problems(12)[8:]]
            table = module.config.run.folder / "evaluations" / f"step-{step:06d}.parquet"
            found.append((step, pq.read_table(table)["response"].to_pylist()))
            table.unlink()  # or the second one would be read from it

    config = tiny_config(tmp_path, "curriculum.max_response_tokens=12", "curriculum.learning_rate=1e-2")
    fit(config, callbacks=[Then(validate)])
    assert [step for step, _ in found] == [1, 1, 2, 2]
    assert found[0] == found[1]
    assert found[2] == found[3]
    assert found[0][1] != found[2][1]
    assert len(found[0][1]) == 4 * 2


def test_evaluation_does_not_sync_a_second_time_at_the_same_step(tmp_path: Path) -> None:
    engine = alternating()
    fit(tiny_config(tmp_path, "evaluation.every_n_steps=1"), engine=engine, whole=True)
    assert engine.synced == 3  # before step 0, after it, after step 1: evaluation and rollouts share each


def test_more_prompts_a_step_than_problems_is_refused_before_an_engine_starts(tmp_path: Path) -> None:
    data = data_module(tmp_path, "curriculum.prompts_per_step=9")
    with pytest.raises(UserError, match=r"curriculum.prompts_per_step=9 is more than the 8 problems to draw from"):
        data.setup("fit")
    assert data.session is None


def test_responses_that_do_not_fit_the_model_are_refused_before_an_engine_starts(tmp_path: Path) -> None:
    assert model_context("models/laptop") == 4096
    data = data_module(tmp_path, "evaluation.max_response_tokens=4090")
    with pytest.raises(UserError, match=r"responses of 4090 tokens .* context of 4096 tokens"):
        data.setup("fit")
    assert data.session is None


def test_setting_up_twice_keeps_engine_and_prompts(tmp_path: Path) -> None:
    data = data_module(tmp_path)
    data.setup("fit")
    session, prompts = data.session, data.prompts
    data.setup("fit")
    assert (data.session, data.prompts) == (session, prompts)
    assert session is not None
    data.teardown("fit")
    assert data.session is None
    assert session.pool.closed  # type: ignore[attr-defined]
