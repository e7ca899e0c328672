"""What a run writes while it goes on."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from lightning.pytorch import Callback, Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_runs import Fitted, Then, fit, prompts, rollout, rollout_batch, starts_with_a, tiny_config, tokenizer

from acereason.progress import Progress
from acereason.tables import RESPONSES, TRAINING
from acereason.training.writers import rollout_text, write_rollouts


def test_a_rollout_file_gives_back_everything_that_was_sampled_and_judged(tmp_path: Path) -> None:
    sevens = tokenizer().encode("7+")
    group = [rollout(1.0, sevens, logprobs=[-0.25, -0.5]), rollout(0.0, [5], truncated=True, sample=1)]
    batch = rollout_batch([group], torch.tensor([[0.75, -0.75]]), step=12)
    write_rollouts(tmp_path / "new" / "step.parquet", batch)
    table = pq.read_table(tmp_path / "new" / "step.parquet")
    assert table.column_names == [*RESPONSES, *TRAINING]
    first, second = table.to_pylist()
    problem, prompt = prompts(1)[0].problem, prompts(1)[0]
    assert first == {
        "step": 12,
        "problem": problem.id,
        "domain": "math",
        "level": 2,
        "sample": 0,
        "prompt": prompt.text,
        "response": "7+",
        "tokens": 2,
        "finish_reason": "stop",
        "gold": problem.answer,
        "extracted": "7",
        "reward": 1.0,
        "learned_reward": 1.0,
        "advantage": 0.75,
        "reason": "correct",
        "truncated": False,
        "seconds": 0.0,
        "prompt_ids": list(prompt.ids),
        "response_ids": sevens,
        "logprobs": [-0.25, -0.5],
    }
    assert (second["sample"], second["reward"], second["advantage"], second["truncated"]) == (1, 0.0, -0.75, True)
    assert second["finish_reason"] == "length"
    assert table.schema.field("tokens").metadata[b"doc"] == RESPONSES["tokens"].doc.encode()


def test_rewards_that_were_shuffled_stand_beside_those_that_were_judged(tmp_path: Path) -> None:
    group = [rollout(1.0), rollout(0.0, sample=1)]
    batch = rollout_batch([group])
    batch.rewards.copy_(torch.tensor([[0.0, 1.0]]))
    write_rollouts(tmp_path / "step.parquet", batch)
    rows = pq.read_table(tmp_path / "step.parquet").to_pylist()
    assert [(row["reward"], row["learned_reward"]) for row in rows] == [(1, 0), (0, 1)]


def test_a_run_writes_a_file_a_step_with_all_its_rollouts(finished_run: Fitted) -> None:
    files = sorted((finished_run.folder / "rollouts").iterdir())
    assert [file.name for file in files] == [f"step-{step:06d}.parquet" for step in range(4)]
    for step, file in enumerate(files):
        rows = pq.read_table(file).to_pylist()
        assert len(rows) == 8
        assert {row["step"] for row in rows} == {step}
        assert all(row["reward"] == starts_with_a(prompts(1)[0].problem, row["response"]) for row in rows)


def test_a_rollout_reads_as_prompt_response_gold_extracted_and_reward() -> None:
    made = rollout(1.0, tokenizer().encode("7+5=2\n</think>"))
    text = rollout_text(made)
    assert "**Prompt**\n\n    <｜User｜>Start at " in text
    assert f"**Response** ({len(made.generation.token_ids)} tokens)\n\n    7+5=2\n    </think>" in text
    assert text.endswith(f"**Gold** `{made.problem.answer}` · **extracted** `7` · **reward** 1 (correct)")


def test_tensorboard_gets_a_few_rollouts_as_text(finished_run: Fitted) -> None:
    events = EventAccumulator(str(finished_run.folder / "events"), size_guidance={"tensors": 0})
    events.Reload()
    texts = events.Tensors("rollouts/text_summary")
    assert [event.step for event in texts] == [1, 2, 3, 4]
    for event, batch in zip(texts, finished_run.recorder.batches, strict=True):
        text = event.tensor_proto.string_val[0].decode()
        assert text == "\n\n---\n\n".join(rollout_text(group[0]) for group in batch.groups)


def test_held_out_problems_are_evaluated_before_every_two_steps_and_after(finished_run: Fitted) -> None:
    results = {step: found.domains["math"] for step, found in finished_run.evaluation.results.items()}
    assert list(results) == [0, 2, 4]
    for step, result in results.items():
        rows = pq.read_table(finished_run.folder / "evaluations" / f"step-{step:06d}.parquet").to_pylist()
        scores = [(scores.problem, reward) for scores in result.problems for reward in scores.rewards]
        assert [(row["problem"], row["reward"]) for row in rows] == scores
        assert len(result.problems) == 4 and all(row["response"] for row in rows)
    assert finished_run.recorder.of("eval/pass@1") == pytest.approx([results[step].pass_at_1 for step in (0, 2, 2, 4)])


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder / "events"), size_guidance={"scalars": 0}).Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


class LookAfterAll(Callback):
    """Reads TensorBoard's files after each step, when every other callback is through."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: list[list[tuple[int, float]]] = []

    def on_fit_start(self, trainer: Trainer, module: Any) -> None:
        trainer.callbacks.append(Then(lambda *_: self.seen.append(scalars(self.folder)["reward/mean"])))


def test_a_steps_scalars_are_on_the_disk_when_its_checkpoint_is(tmp_path: Path) -> None:
    """So a kill right after the save, before Lightning writes what it was given to log, loses none of them."""
    look = LookAfterAll(tmp_path / "tiny")
    run = fit(tiny_config(tmp_path, "checkpoint.every_n_steps=1"), callbacks=[look], whole=True)
    assert [[step for step, _ in points] for points in look.seen] == [[1], [1, 2]]
    assert [value for _, value in look.seen[-1]] == run.recorder.of("reward/mean")


def test_a_users_callback_may_add_a_scalar_to_those_of_the_step(tmp_path: Path) -> None:
    def add(trainer: Trainer, module: Any) -> None:
        module.metrics["mine"] = 10.0 * module.curriculum.step

    run = fit(tiny_config(tmp_path), callbacks=[Then(add)], whole=True)
    assert scalars(run.folder)["mine"] == [(1, 10.0), (2, 20.0)]


def test_a_rollout_file_that_is_being_written_is_none_yet(tmp_path: Path) -> None:
    write_rollouts(tmp_path / "step-000000.parquet", rollout_batch([[rollout(1.0)]]))
    (tmp_path / ".step-000001.parquet.partial").write_bytes(b"PAR1")
    assert pq.read_table(tmp_path).num_rows == 1


def test_a_resumed_run_shows_callbacks_the_last_evaluation(finished_run: Fitted, tmp_path: Path) -> None:
    def look(trainer: Trainer, module: Any) -> None:
        seen[module.curriculum.step] = trainer.callback_metrics["eval/pass@1"].item()

    seen: dict[int, float] = {}
    saved = Path("checkpoints") / "step-000002"
    shutil.copytree(finished_run.folder / saved, tmp_path / "tiny" / saved)
    overrides = ["trainer.max_steps=4", "grpo.updates_per_batch=2", "ckpt=last"]
    fit(tiny_config(tmp_path, *overrides), callbacks=[Then(look)], whole=True)
    assert seen == dict.fromkeys((3, 4), pytest.approx(finished_run.evaluation.results[2].domains["math"].pass_at_1))


def test_the_progress_bar_shows_what_matters_once_it_is_there(finished_run: Fitted) -> None:
    shown = Progress().get_metrics(finished_run.trainer, finished_run.policy)
    last = finished_run.recorder.metrics[-1]
    assert shown == {
        "reward": f"{last['reward/mean']:.2f}",
        "length": f"{last['response/length_mean']:.0f}",
        "tokens/s": f"{last['throughput/tokens_per_second']:.0f}",
        "held-out": f"{last['eval/pass@1']:.2f}",
    }
    finished_run.trainer.callback_metrics.pop("eval/pass@1", None)
    assert set(Progress().get_metrics(finished_run.trainer, finished_run.policy)) <= {"reward", "length", "tokens/s"}
