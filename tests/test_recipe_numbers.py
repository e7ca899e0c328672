"""Each number of the paper's recipes is in the table of docs/reference/paper_numbers.md or marked as ours."""

import re
from collections.abc import Iterator
from functools import reduce
from typing import Any

import pytest
import yaml
from recipe_tables import RECIPES, ROOT, composed, table

from acereason.config.schema import Config
from acereason.curricula.user_callbacks import user_callbacks
from acereason.planning.stage_table import planned_stages, stages_of

NAMES = ("class_path", "name")


def rows() -> list[list[str]]:
    """The paper's numbers."""
    return table("paper_numbers.md", "The numbers of the recipes")


def settings_of_table() -> set[str]:
    return {setting.strip("`") for _, _, _, setting, _, _ in rows()}


def value_of(config: Config, setting: str) -> Any:
    """A setting's value; of a stage, with what it takes over; items of lists by their number."""
    stages = {stage.name: stage for stage in planned_stages(config, stages_of(user_callbacks(config)))}
    if setting == "stages":
        return ", ".join(stages)
    first, _, rest = setting.partition(".")
    if first in stages:
        return getattr(stages[first], rest)
    return reduce(item, setting.split("."), config)


def item(tree: Any, name: str) -> Any:
    if isinstance(tree, list):
        return tree[int(name)]
    return tree[name] if isinstance(tree, dict) else getattr(tree, name)


def read(cell: str) -> Any:
    """A cell as the number or list that it shows, else as text."""
    if re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", cell):
        return float(cell)
    return yaml.safe_load(cell) if cell.startswith("[") else cell


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_recipes_have_the_numbers_of_the_paper(recipe: str) -> None:
    config = composed(recipe)
    assert len(rows()) == 40
    for row in rows():
        setting, cell = row[3].strip("`"), row[4 + RECIPES.index(recipe)]
        assert value_of(config, setting) == read(cell), setting


def test_where_the_paper_gives_a_plain_number_the_recipes_have_it() -> None:
    plain = [row for row in rows() if isinstance(read(row[1]), float)]
    assert len(plain) == 23
    assert [row for row in plain if not read(row[1]) == read(row[4]) == read(row[5])] == []


def leaves(node: yaml.Node, key: str = "") -> Iterator[tuple[str, yaml.Node]]:
    """Every value of a YAML file by its dotted key, as the table names it; a list of plain values is one."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield from leaves(value, f"{key}.{name.value}".lstrip("."))
    elif isinstance(node, yaml.SequenceNode) and any(isinstance(value, yaml.MappingNode) for value in node.value):
        for number, value in enumerate(node.value):
            names = {name.value: inner.value for name, inner in value.value}
            yield from leaves(value, names.get("name") or f"{key}.{number}")
    else:
        yield key, node


def unmarked(text: str, known: set[str]) -> list[str]:
    """Values that are neither ours nor, as the paper's, in the table; names and paths of classes aside."""
    found, lines = [], text.splitlines()
    tree = yaml.compose(text)
    assert tree is not None
    for key, node in leaves(tree):
        comment = lines[node.start_mark.line].partition("  # ")[2]
        is_number = any(part.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float") for part in parts(node))
        is_paper = re.match(r"paper §\d", comment) and (key in known or not is_number)
        if not is_paper and not comment.startswith("ours") and key.rpartition(".")[2] not in ("include", *NAMES):
            found.append(key)
    return found


def parts(node: yaml.Node) -> list[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else [node]


def test_every_value_is_the_papers_or_marked_as_ours() -> None:
    # What every stage takes over is in the table under the stages' names.
    known = settings_of_table()
    known |= {f"curriculum.{setting.partition('.')[2]}" for setting in known if setting.startswith("math_8k.")}
    for file in ("acereason.yaml", *(f"recipe/{recipe}.yaml" for recipe in RECIPES)):
        assert unmarked((ROOT / "conf" / file).read_text(encoding="utf-8"), known) == [], file


@pytest.mark.parametrize(
    "line",
    [
        "seed: 1",
        "seed: 1  # because",
        "trainer: {max_steps: 4}",
        "trainer: {max_steps: 4}  # paper §3.1",  # not in the table
        "stages: [{name: math_8k, learning_rate: 1.0e-6}]",
        "stages: [{name: math_8k, top_p: 1.0}]  # paper §3.2.2",  # not in the table
        "run: {name: x, root: y}",
    ],
)
def test_a_value_of_unknown_origin_is_found(line: str) -> None:
    assert len(unmarked(line, settings_of_table())) == 1


def test_a_value_of_known_origin_is_let_through() -> None:
    stage = "stages: [{name: math_8k, learning_rate: 1.0e-6}]  # paper §3.2.2"
    assert unmarked(f"include: x\nseed: 1  # ours\n{stage}", settings_of_table()) == []
