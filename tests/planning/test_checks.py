"""Values, files and models that cannot work are refused before anything heavy is imported."""

import json
from pathlib import Path

import pytest
from config_project import make_project, refusal, write

from acereason.config.compose import compose
from acereason.config.files import REPOSITORY, recipes
from acereason.planning.checks import check


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own as the current folder."""
    monkeypatch.chdir(tmp_path)
    return make_project(tmp_path)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.max_steps=-1", "trainer.max_steps=-1: must be a whole number from 0"),
        ("engine.tensor_parallel_size=0", "engine.tensor_parallel_size=0: must be a whole number from 1"),
        ("curriculum.prompts_per_step=0", "curriculum.prompts_per_step=0: must be a whole number from 1"),
        ("curriculum.temperature=0", "curriculum.temperature=0.0: must be a number above 0"),
        ("curriculum.temperature=.nan", "curriculum.temperature=nan: must be a finite number above 0"),
        ("curriculum.learning_rate=.inf", "curriculum.learning_rate=inf: must be a finite number from 0"),
        ("curriculum.top_p=0", "curriculum.top_p=0.0: must be a number above 0 and at most 1"),
        ("sandbox.time_limit_seconds=0", "sandbox.time_limit_seconds=0.0: must be a number above 0"),
        (
            "sandbox.total_time_limit_seconds=.inf",
            "sandbox.total_time_limit_seconds=inf: must be a finite number above 0",
        ),
        (
            "sandbox.memory_mib=-1",
            "sandbox.memory_mib=-1: must be a whole number from 64 (the interpreter needs that much)",
        ),
        ("sandbox.processes=0", "sandbox.processes=0: must be a whole number from 8"),
        ("evaluation.top_p=1.1", "evaluation.top_p=1.1: must be a number above 0 and at most 1"),
        ("optimizer.beta2=1", "optimizer.beta2=1.0: must be a number from 0 to below 1"),
        (
            "curriculum.rollouts_per_prompt=1",
            "curriculum.rollouts_per_prompt=1: must be a whole number from 2 (GRPO compares the responses of a group)",
        ),
        (
            "grpo.updates_per_batch=3",
            "grpo.updates_per_batch=3: must be a divisor of curriculum.prompts_per_step = 128",
        ),
        ("run.name=../x", "run.name=../x: must be a folder under run.root=runs"),
        ("ckpt=lst", "ckpt=lst: no such checkpoint; did you mean last?"),
        ("problems.levels=[8,3]", "problems.levels=[8, 3]: the lowest comes first, so [3,8]"),
        ("problems.levels=[3,15]", "problems.levels=[3, 15]: built-in math problems have levels 2 to 14"),
        (
            "problems.path=data/tran.jsonl",
            "problems.path=data/tran.jsonl: no such file; did you mean data/train.jsonl?",
        ),
        ("problems.path=none/a.jsonl", "problems.path=none/a.jsonl: no such file; there is no folder none"),
        ("problems.path=laptp", "problems.path=laptp: no such file; did you mean laptop?"),
        ("problems.path=hub:", "problems.path=hub:: names no data set; give hub:OWNER/NAME"),
        ("model.path=models/laptp", "model.path=models/laptp: no such folder; did you mean models/laptop?"),
        ("model.path=./x/y/z", "model.path=./x/y/z: no such folder; there is no folder x/y"),
        ("model.path=~/m", "model.path=~/m: no such folder; write the home folder out, ~ is not expanded here"),
        ("model.path=data", "model.path=data: has no config.json; give a folder in Hugging Face format"),
        ("model.path=bare", "model.path=bare: has no tokenizer; save tokenizer.json and its config there too"),
        ("model.path=broken", "broken/config.json: broken JSON: Expecting value: line 1 column 1 (char 0)"),
        (
            "curriculum.max_response_tokens=256",
            "curriculum.max_response_tokens=256: prompt and response must fit in 256 tokens "
            "(max_position_embeddings of model.path=models/laptop); lower it",
        ),
        (
            "evaluation.max_response_tokens=400",
            "evaluation.max_response_tokens=400: prompt and response must fit in 256 tokens "
            "(max_position_embeddings of model.path=models/laptop); lower it",
        ),
        (
            "engine.max_model_len=64",
            "curriculum.max_response_tokens=64: prompt and response must fit in 64 tokens "
            "(engine.max_model_len); lower it",
        ),
    ],
)
def test_a_value_that_cannot_work_is_refused(root: Path, override: str, message: str) -> None:
    write(root, "data/train.jsonl", "")
    write(root, "bare/config.json", "{}")
    write(root, "broken/config.json", "nope")
    write(root, "broken/vocab.json", "{}")
    assert refusal(root, override) == message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["grpo.correction=token_cap", "grpo.correction_low=0.5"],
            "grpo.correction_low=0.5: grpo.correction=token_cap has no lower bound; leave it out, or use token_mask or "
            "sequence_mask",
        ),
        (
            ["grpo.correction=token_mask", "grpo.correction_low=1.5"],
            "grpo.correction_low=1.5: must be a number from 0 to 1",
        ),
        (
            ["grpo.correction=sequence_cap", "grpo.correction_high=0.9"],
            "grpo.correction_high=0.9: must be 1 or more: a token that engine and policy agree on has a ratio of 1",
        ),
        (
            ["grpo.correction_high=2"],
            "grpo.correction_high=2.0: grpo.correction=none has no bounds; leave it out, or set "
            "grpo.correction=token_cap",
        ),
        (
            ["engine.name=transformers", "engine.batch_invariant=true"],
            "engine.batch_invariant=true: engine.name=transformers has no such kernels; leave it out, or use "
            "engine.name=vllm",
        ),
        (
            ["trainer.devices=2", "trainer.num_nodes=3", "curriculum.prompts_per_step=4"],
            "curriculum.prompts_per_step=4: must be a multiple of trainer.devices × trainer.num_nodes = 6",
        ),
        (
            ["trainer.devices=3", "curriculum.prompts_per_step=4"],
            "curriculum.prompts_per_step=4: must be a multiple of trainer.devices × trainer.num_nodes = 3",
        ),
        (
            ["trainer.devices=4", "trainer.shard_ranks=3"],
            "trainer.shard_ranks=3: must be a divisor of trainer.devices × trainer.num_nodes = 4",
        ),
        (
            ["trainer.devices=4", "engine.tensor_parallel_size=8"],
            "engine.tensor_parallel_size=8: must be a divisor of trainer.devices × trainer.num_nodes = 4",
        ),
        (
            ["problems.false_negatives=0.5"],
            "problems.false_negatives=0.5: wrong tests are for domain=code, and this source has domain=math",
        ),
        (
            ["problems.domain=code", "problems.false_negatives=0.7", "problems.false_positives=0.5"],
            "problems.false_negatives=0.7: false_negatives=0.7 and false_positives=0.5 must not exceed 1 together, "
            "since no problem is in both shares; lower one",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(root: Path, words: list[str], message: str) -> None:
    assert refusal(root, *words, "validate_only=true") == message


@pytest.mark.parametrize("override", ["levels=[8,3]", "levels=[3,15]", "path=hub:", "path=none/a.jsonl", "held_out=-1"])
def test_more_problems_are_checked_like_problems(root: Path, override: str) -> None:
    of_problems = refusal(root, f"problems.{override}")
    assert of_problems.startswith(f"problems.{override.partition('=')[0]}=")
    assert refusal(root, f"more_problems.extra.{override}") == f"more_{of_problems}".replace(".", ".extra.", 1)


@pytest.mark.parametrize(
    "override",
    [
        "trainer.max_steps=0",
        "curriculum.max_response_tokens=255",
        "curriculum.learning_rate=0",
        "optimizer.max_grad_norm=.inf",
        "grpo.updates_per_batch=4",
        "grpo.entropy_coefficient=-0.01",
        "seed=-3",
        "model.path=org/a-model.7B",
        "problems.path=hub:openai/gsm8k",
        "problems.path=data/train.jsonl",
    ],
)
def test_what_can_work_is_let_through(root: Path, override: str) -> None:
    write(root, "data/train.jsonl", "")
    config = compose([override, "run.name=here"], project=root)
    check(config)
    assert config != compose(["run.name=here"], project=root)


def test_code_rewards_are_refused_where_programs_cannot_be_isolated(root: Path) -> None:
    weak = "sandbox.without=[namespaces,landlock,seccomp]"
    code = ["problems.domain=code", "problems.levels=[1,3]"]
    said = refusal(root, *code, weak)
    assert said.startswith("code rewards need file-system, network, process isolation")
    assert "sandbox.allow_weak=true" in said
    unknown = refusal(root, *code, "sandbox.without=[chroot]")
    assert unknown.startswith('sandbox.without=["chroot"]: there is no chroot; valid: ')
    check(compose(["problems.domain=math", weak, "run.name=here"], project=root))


@pytest.mark.parametrize("name", recipes(REPOSITORY))
def test_every_recipe_composes_and_checks(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    write(root, "models/laptop/config.json", json.dumps({"max_position_embeddings": 131072}))
    there = [f"model.path={root / 'models/laptop'}", "trainer.devices=2"]  # an engine of the 14B takes two
    config = compose([f"recipe={name}", "validate_only=true", *there], project=REPOSITORY)
    check(config)
    assert config.recipe == name
