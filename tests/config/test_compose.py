"""Composing and checking a config: precedence, includes, and the one line that every failure is."""

import os
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pytest
from config_project import EXTENSION, make_project, refusal, write

from acereason.config import schema as declarations
from acereason.config.compose import compose, load_saved, save
from acereason.config.files import recipes
from acereason.config.schema import CallbackConfig, Config, DType, Normalisation
from acereason.config.setting import group, setting
from acereason.errors import UserError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own as the current folder."""
    monkeypatch.chdir(tmp_path)
    return make_project(tmp_path)


def test_defaults_give_way_to_recipe_gives_way_to_overrides(root: Path) -> None:
    assert Config().trainer.max_steps == 100
    assert compose([], project=root).trainer.max_steps == 7
    assert compose(["trainer.max_steps=3"], project=root).trainer.max_steps == 3
    assert compose(["trainer.max_steps=3", "trainer.max_steps=4"], project=root).trainer.max_steps == 4
    assert compose([], project=root).grpo == Config().grpo


def test_includes_come_before_the_recipe_and_the_command_line_includes_after_it(root: Path) -> None:
    write(root, "conf/model/big.yaml", "model: {path: org/big, micro_batch_tokens: 5}\ntrainer: {devices: 8}\n")
    write(root, "conf/cluster/two.yaml", "trainer: {num_nodes: 2, devices: 4}\n")
    write(root, "conf/recipe/mine.yaml", "include: [model/big, cluster/two]\nmodel: {micro_batch_tokens: 6}\n")
    write(root, "conf/cluster/one.yaml", "trainer: {num_nodes: 1}\nmodel: {micro_batch_tokens: 9}\n")
    mine = compose(["recipe=mine"], project=root)
    assert (mine.model.path, mine.model.micro_batch_tokens) == ("org/big", 6)
    assert (mine.trainer.num_nodes, mine.trainer.devices) == (2, 4)
    over = compose(["trainer.num_nodes=3", "recipe=mine", "include=cluster/one"], project=root)
    assert (over.trainer.num_nodes, over.trainer.devices, over.model.micro_batch_tokens) == (3, 4, 9)
    assert compose(["recipe=mine", "include=[cluster/one]"], project=root).trainer.num_nodes == 1


def test_values_become_what_the_dataclasses_declare(root: Path) -> None:
    config = compose(
        [
            "model.compute_dtype=float32",
            "grpo.normalisation=group",
            "problems.levels=[3,8]",
            "curriculum.learning_rate=1",
            "optimizer.eps=1e-6",
            "log.rollouts=no",
            "run.name=007",
            "problems.path=a=b",
            "engine.options.max_num_batched_tokens=512",
        ],
        project=root,
    )
    assert isinstance(config, Config)
    assert config.model.compute_dtype is DType.float32
    assert config.grpo.normalisation is Normalisation.group
    assert config.problems.levels == (3, 8)
    assert isinstance(config.problems.levels, tuple)
    assert config.curriculum.learning_rate == 1.0
    assert isinstance(config.curriculum.learning_rate, float)
    assert config.optimizer.eps == 1e-6
    assert config.log.rollouts is False
    assert config.run.name == "007"
    assert config.problems.path == "a=b"
    assert config.engine.options == {"max_num_batched_tokens": 512}


def test_callbacks_are_named_entries_that_merge_and_can_be_left_out(root: Path) -> None:
    entry = (
        "callbacks: {x: {class_path: callbacks.length_extension.LengthExtension, init_args: {lengths: [8], every: 5}}}"
    )
    write(root, "conf/recipe/staged.yaml", entry)
    words = ["recipe=staged", "callbacks.x.init_args.lengths=[8,16]", "callbacks.y.class_path=a.B"]
    config = compose(words, project=root)
    expected = CallbackConfig("callbacks.length_extension.LengthExtension", {"lengths": [8, 16], "every": 5})
    assert config.callbacks == {"x": expected, "y": CallbackConfig("a.B", {})}
    assert compose(["recipe=staged", "callbacks.x=null"], project=root).callbacks == {}


def test_interpolations_are_resolved(root: Path) -> None:
    config = compose(["run.name=${recipe}-s${seed}", "seed=4", "trainer.max_steps=${seed}"], project=root)
    assert (config.run.name, config.trainer.max_steps) == ("laptop-s4", 4)


def test_an_empty_run_name_is_recipe_and_time(root: Path) -> None:
    assert re.fullmatch(r"laptop-\d{8}-\d{6}", compose([], project=root).run.name)


def test_ckpt_last_takes_the_newest_run_of_the_recipe(root: Path) -> None:
    write(root, "conf/recipe/other.yaml", "seed: 1\n")
    saved = [
        ("first", "laptop", 100),
        ("second", "laptop", 300),
        ("third", "laptop", 200),
        ("o", "other", 900),
    ]
    for name, recipe, seconds in saved:
        path = root / "runs" / name / "config.yaml"
        save(compose([f"recipe={recipe}", f"run.name={name}"], project=root), path)
        os.utime(path, (seconds, seconds))
    assert compose(["ckpt=last"], project=root).run.name == "second"
    assert compose(["ckpt=last", "recipe=other"], project=root).run.name == "o"
    assert compose(["ckpt=last", "run.name=first"], project=root).run.name == "first"
    assert refusal(root, "ckpt=last", "run.root=elsewhere") == (
        "ckpt=last: no run of recipe laptop in run.root=elsewhere; name one with run.name=…"
    )


def test_a_saved_config_reads_back_equal(root: Path) -> None:
    argv = [EXTENSION, "callbacks.x.init_args.lengths=[8,16]", "problems.levels=[4,5]", "grpo.advantage=leave_one_out"]
    config = compose([*argv, "engine.options={a: {b: [1, x]}}", "run.name=007"], project=root)
    path = root / "runs/007/config.yaml"
    save(config, path)
    assert load_saved(path) == config
    assert "advantage: leave_one_out\n" in path.read_text()
    write(root, "conf/recipe/again.yaml", path.read_text())  # a run's config is a recipe too
    again = compose(["recipe=again"], project=root)
    assert again.recipe == "again"
    again.recipe = "laptop"
    assert again == config


def test_enum_names_are_their_values() -> None:
    enums = [cls for cls in vars(declarations).values() if isinstance(cls, type) and issubclass(cls, Enum) and len(cls)]
    assert len(enums) >= 6
    assert all(member.name == member.value for cls in enums for member in cls)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.max_step=1", "trainer.max_step=1: no such setting; did you mean trainer.max_steps?"),
        ("trainr.max_step=1", "trainr.max_step=1: no such setting; did you mean trainer.max_steps?"),
        (
            "grpo.importance_cap=2",
            "grpo.importance_cap=2: no longer a setting; set grpo.correction=token_cap and grpo.correction_high to the "
            "cap, or leave it out if it is 0",
        ),
        ("max_steps=1", "max_steps=1: no such setting; did you mean trainer.max_steps?"),
        ("trainer.learning_rate=1", "trainer.learning_rate=1: no such setting; did you mean curriculum.learning_rate?"),
        ("evaluaton.top_p=1", "evaluaton.top_p=1: no such setting; did you mean evaluation.top_p?"),
        ("engine.option.a=1", "engine.option.a=1: no such setting; did you mean engine.options?"),
        ("callback.x.class_path=a.B", "callback.x.class_path=a.B: no such setting; did you mean callbacks?"),
        (
            "callbacks.x.class_pat=a.B",
            "callbacks.x.class_pat=a.B: no such setting; did you mean callbacks.x.class_path?",
        ),
        ("callbacks.x.k=1", "callbacks.x.k=1: no such setting; valid: class_path, init_args"),
        ("problems.levels[0]=1", "problems.levels[0]=1: no such setting; did you mean problems.levels?"),
        ("trainer.max_steps=abc", "trainer.max_steps=abc: expected a whole number"),
        ("trainer.max_steps=3.5", "trainer.max_steps=3.5: expected a whole number"),
        ("trainer.max_steps=true", "trainer.max_steps=true: expected a whole number"),
        ("trainer.max_steps=", "trainer.max_steps=null: expected a whole number"),
        ("curriculum.learning_rate=[1]", "curriculum.learning_rate=[1]: expected a number"),
        ("log.rollouts=2", "log.rollouts=2: expected true or false"),
        ("run.name=null", "run.name=null: expected text"),
        ("trainer=3", "trainer=3: expected settings inside it, not a value"),
        ("callbacks=3", "callbacks=3: expected a mapping, such as {a: 1}"),
        ("engine.options={1: 2}", "engine.options.1=2: the name 1 must be text; write it in quotes"),
        ("problems.levels=[3]", "problems.levels=[3]: expected 2 whole numbers, such as [3,8]"),
        ("problems.levels=[3,x]", 'problems.levels=[3, "x"]: expected 2 whole numbers, such as [3,8]'),
        (
            "model.compute_dtype=float64",
            "model.compute_dtype=float64: expected one of float32, bfloat16, float16; did you mean float16?",
        ),
        ("grpo.normalisation=tokens", "grpo.normalisation=tokens: expected one of batch, group, sequence"),
        ("trainer.max_steps=${seeed}", "trainer.max_steps=${seeed}: Interpolation key 'seeed' not found"),
        (
            "recipe=laptopp",
            "recipe=laptopp: there is no conf/recipe/laptopp.yaml; did you mean laptop?",
        ),
        ("recipe=code", "recipe=code: there is no conf/recipe/code.yaml; valid: laptop"),
        ("include=model/x", "include=model/x: there is no conf/model/x.yaml; valid: recipe/laptop"),
        ("include=3", "include=3: expected a list of files in conf/, such as [model/xyz]"),
        ("foo", "foo: expected key=value without spaces, such as trainer.max_steps=…"),
        ("--validate-only", "--validate-only: expected key=value without spaces, such as validate_only=…"),
        ("=3", "=3: expected key=value without spaces, such as trainer.max_steps=…"),
    ],
)
def test_a_bad_override_is_one_line_with_key_value_and_way_out(root: Path, override: str, message: str) -> None:
    assert refusal(root, override) == message


@dataclass
class Inner:
    """A group."""

    size: int = setting(3, ge=1)
    kind: DType = DType.float32


@dataclass
class Other:
    """Settings of another program: one that must be given, a group with another default, named groups."""

    source: str
    inner: Inner = group(Inner, size=5)
    more: dict[str, Inner] = setting({})


def test_any_dataclass_can_be_composed(root: Path) -> None:
    assert compose(["source=007"], Other, project=root) == Other("007", Inner(5), {})
    write(root, "conf/inner/small.yaml", "inner: {size: 1}\nmore: {x: {size: 2}, y: {}}\n")
    words = ["include=inner/small", "source=a", "inner.kind=bfloat16", "more.y=null"]
    assert compose(words, Other, project=root) == Other("a", Inner(1, DType.bfloat16), {"x": Inner(2)})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "source=… is missing; --help lists the settings"),
        (["sourc=a"], "sourc=a: no such setting; did you mean source?"),
        (["source=a", "size=2"], "size=2: no such setting; did you mean inner.size?"),
        (["source=a", "inner.size=x"], "inner.size=x: expected a whole number"),
        (["source=a", "optimizer.eps=2"], "optimizer.eps=2: no such setting; valid: source, inner, more"),
        (["a.jsonl"], "a.jsonl: expected key=value without spaces, such as source=…"),
        (["source=a", "recipe=laptop"], "recipe=laptop: no such setting; valid: source, inner, more"),
    ],
)
def test_what_is_wrong_for_a_dataclass_names_its_own_settings(root: Path, words: list[str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        compose(words, Other, project=root)
    assert str(caught.value) == message


def test_broken_yaml_is_one_line_with_its_place(root: Path) -> None:
    assert refusal(root, "trainer.max_steps=[3").startswith("trainer.max_steps=[3: broken value: ")
    write(root, "conf/recipe/bad.yaml", "seed: 1\ntrainer: {max_steps: 1\n")
    assert refusal(root, "recipe=bad").startswith("conf/recipe/bad.yaml line 3: broken YAML: ")


def test_an_interpolation_of_the_wrong_type_names_the_key(root: Path) -> None:
    assert refusal(root, "trainer.max_steps=${model.path}").startswith("trainer.max_steps=${model.path}: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trainer: {max_step: 1}", ": trainer.max_step=1: no such setting; did you mean trainer.max_steps?"),
        ("grpo: {clip_low: x}", ": grpo.clip_low=x: expected a number"),
        ("run: {name: 7}", ": run.name=7: expected text"),
        (
            "callbacks: {x: {init_arg: 1}}",
            ": callbacks.x.init_arg=1: no such setting; did you mean callbacks.x.init_args?",
        ),
        ("seed: 1\nseed: 2\n", " line 2: broken YAML: found duplicate key seed"),
        ("[1, 2]", ": expected settings, such as `trainer: {max_steps: 3}`, not a list"),
        ("include: [model/lage]", ": include=model/lage: there is no conf/model/lage.yaml; did you mean model/large?"),
        ("include: 3", ": include=3: expected a list of files in conf/, such as [model/xyz]"),
        ("include: recipe/bad", ": include goes in a circle: recipe/bad -> recipe/bad"),
    ],
)
def test_a_bad_file_is_named(root: Path, text: str, message: str) -> None:
    write(root, "conf/model/large.yaml", "model: {path: org/large}")
    write(root, "conf/recipe/bad.yaml", text)
    assert refusal(root, "recipe=bad") == f"conf/recipe/bad.yaml{message}"


def test_an_unreadable_or_missing_saved_config_is_named(root: Path) -> None:
    with pytest.raises(UserError, match=r"^runs/x/config.yaml: cannot be read: No such file or directory$"):
        load_saved("runs/x/config.yaml")
    (root / "conf/recipe/bytes.yaml").write_bytes(b"seed: \xff\n")
    assert refusal(root, "recipe=bytes").startswith("conf/recipe/bytes.yaml: broken YAML: ")


def test_without_a_conf_folder_the_message_says_where_it_was_looked_for(tmp_path: Path) -> None:
    assert refusal(tmp_path).startswith("recipe=laptop: no conf folder with YAML files here or in ")


def test_the_current_folder_adds_recipes_to_those_of_the_repository(root: Path) -> None:
    write(root, "conf/recipe/mine.yaml", "seed: 5\n")
    assert {"laptop", "mine"} <= set(recipes())
    assert compose(["recipe=mine"]).seed == 5
    assert compose([]).trainer.max_steps == 7  # the current folder's, not the repository's
