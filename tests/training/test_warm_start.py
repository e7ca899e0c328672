"""The warm start on worked solutions, on the laptop policy: its loss, its order, its export, and one rank or two."""

import json
import subprocess
import sys
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest
import torch
from fresh_process import fresh_environment
from transformers import AutoModelForCausalLM, AutoTokenizer

from acereason.config.schema.warm_start import WarmStartSettings
from acereason.policy.packing import ResponseTokens
from acereason.problems.word_problems import word_problems
from acereason.training.warm_start import batches, learning_rate, tokens_of

ROOT = Path(__file__).resolve().parents[2]
WORDS = [
    *(
        "recipe=word_problems",
        "model.path=models/laptop",
        "model.micro_batch_tokens=512",
        "problems.count=16",
        "problems.levels=[1,2]",
    ),
    *("problems.held_out=4", "warm_start.epochs=3", "warm_start.solutions_per_step=8", "warm_start.warmup_steps=2"),
    "warm_start.learning_rate=1e-3",
]


STARTS = {
    "plain": [],
    "one step": ["warm_start.solutions_per_step=16", "warm_start.max_steps=1"],
    "bfloat16": ["model.compute_dtype=bfloat16", "model.activation_checkpointing=true"],
}
ONE_AFTER_THE_OTHER = """
import json, sys
from acereason.config.compose import compose
from acereason.config.schema.warm_start import WarmStartConfig
from acereason.distributed.environment import RankInfo
from acereason.distributed.lifeline import Lifeline
from acereason.training.warm_start import warm_start

for words in json.loads(sys.argv[1]):
    config = compose(words, WarmStartConfig)
    config.trainer.devices = config.trainer.num_nodes = 1
    warm_start(config, RankInfo(0, 0, 1, 1, 0, ""), Lifeline(launched=False))
"""
"""Each leaves the process group, which other tests in this process may need, so they have a process of their own."""


@dataclass(frozen=True)
class Started:
    """Where the policies are, and what the warm starts printed."""

    folder: Path
    lines: list[str]


@pytest.fixture(scope="module")
def started(tmp_path_factory) -> Started:
    root = tmp_path_factory.mktemp("warm")
    words = [[*WORDS, f"warm_start.output={root / name}", *own] for name, own in STARTS.items()]
    command = [sys.executable, "-c", ONE_AFTER_THE_OTHER, json.dumps(words)]
    done = subprocess.run(command, cwd=ROOT, env=fresh_environment(), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return Started(root, done.stdout.splitlines())


@pytest.fixture(scope="module")
def exported(started) -> Path:
    return started.folder / "plain"


def plain_loss(folder: str | Path, split: str, count: int) -> float:
    """The mean of -log-prob over solutions and their end token, by transformers, one row each."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    total = tokens = 0
    for number, worked in enumerate(word_problems(split, count, (1, 2))):
        each = tokens_of(worked, number, tokenizer)
        assert tokenizer.decode(each.response_ids).endswith(f"\\boxed{{{worked.problem.answer}}}{tokenizer.eos_token}")
        with torch.no_grad():
            logits = model(torch.tensor([[*each.prompt_ids, *each.response_ids]])).logits[0]
        place = torch.arange(len(each.prompt_ids) - 1, len(logits) - 1)
        logprobs = logits.log_softmax(-1)[place, torch.tensor(each.response_ids)]
        total, tokens = total - logprobs.sum().item(), tokens + len(logprobs)
    return total / tokens


def test_the_first_loss_is_that_of_the_model_and_the_last_that_of_the_export(started):
    folder = started.folder / "one step"
    last = started.lines.index(f"policy written to {folder}")
    first, held_out, written = started.lines[last - 2 : last + 1]
    assert first.startswith(f"step 1 of 1: loss {plain_loss('models/laptop', 'train', 16):.4f} over ")
    assert held_out.startswith(f"held-out loss {plain_loss(folder, 'held_out', 4):.4f} over ")
    assert held_out.endswith("tokens of 4 solutions")
    assert written == f"policy written to {folder}"


def test_solutions_become_likelier_held_out_ones_too(exported):
    assert plain_loss(exported, "train", 16) < 0.75 * plain_loss("models/laptop", "train", 16)
    assert plain_loss(exported, "held_out", 4) < 0.75 * plain_loss("models/laptop", "held_out", 4)


def test_bfloat16_and_checkpointing_learn_the_same_to_their_rounding(started, exported):
    other = started.folder / "bfloat16"
    assert plain_loss(other, "train", 16) == pytest.approx(plain_loss(exported, "train", 16), rel=0.05)


def test_two_ranks_give_the_weights_of_one_to_rounding(exported, tmp_path):
    words = [*WORDS, f"warm_start.output={tmp_path / 'two'}", "trainer.devices=2", "model.micro_batch_tokens=300"]
    subprocess.run(
        [sys.executable, "scripts/warm_start.py", *words], cwd=ROOT, env=fresh_environment(), check=True, timeout=240
    )
    one, two = (AutoModelForCausalLM.from_pretrained(folder).state_dict() for folder in (exported, tmp_path / "two"))
    start_of_both = AutoModelForCausalLM.from_pretrained("models/laptop").state_dict()
    assert all((one[name] - start_of_both[name]).abs().max() > 1e-3 for name in one)
    assert max((one[name] - two[name]).abs().max().item() for name in one) < 1e-4


def numbers(settings: WarmStartSettings, seed: int = 0) -> list[list[int]]:
    solutions = [ResponseTokens(number, number, (0,), (0,)) for number in range(10)]
    return [[each.index for each in batch] for batch in batches(solutions, seed, settings)]


def test_each_epoch_takes_every_solution_once_in_an_order_of_its_own():
    steps = numbers(WarmStartSettings(epochs=2, solutions_per_step=4))
    assert [len(batch) for batch in steps] == [4, 4, 2, 4, 4, 2]
    first, second = [*chain(*steps[:3])], [*chain(*steps[3:])]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert steps == numbers(WarmStartSettings(epochs=2, solutions_per_step=4))
    assert steps != numbers(WarmStartSettings(epochs=2, solutions_per_step=4), seed=1)


def test_max_steps_ends_it_earlier():
    settings = WarmStartSettings(epochs=2, solutions_per_step=4, max_steps=4)
    assert numbers(settings) == numbers(WarmStartSettings(epochs=2, solutions_per_step=4))[:4]


def test_the_learning_rate_rises_and_falls_linearly():
    settings = WarmStartSettings(learning_rate=1.0, warmup_steps=2)
    assert [learning_rate(step, 6, settings) for step in range(1, 7)] == [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]


def test_what_cannot_work_is_refused_in_one_line():
    done = subprocess.run(
        [sys.executable, "scripts/warm_start.py", "model.path=models/laptop"],
        cwd=ROOT, env=fresh_environment(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "error: warm_start.output=: must be text, and not empty\n")
