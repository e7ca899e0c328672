"""The paper's recipes: they compose and fit everywhere, and each of their numbers is the paper's or marked as ours."""

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml
from fresh_process import fresh_environment
from omegaconf import OmegaConf

from acereason.checks import check
from acereason.compose import compose
from acereason.config import Config
from acereason.errors import UserError
from acereason.ranks.environment import Place, resolve_ranks
from acereason.run.plan import plan_lines
from acereason.run.stage_table import planned_stages, stages_of
from acereason.run.user_callbacks import user_callbacks

ROOT = Path(__file__).resolve().parent.parent
RECIPES = ["acereason_7b", "acereason_14b"]
CLUSTERS = sorted(path.stem for path in (ROOT / "conf" / "cluster").glob("*.yaml"))
ALONE = Place(0, 0, 1, 1, 0, "")
MACHINE = ("trainer.", "engine.", "rewards.workers", "checkpoint.every_n_steps")
"""What a cluster file may set, and what of the model decides memory alone."""
MEMORY = ("model.activation_checkpointing", "model.micro_batch_tokens", "model.head_chunk_tokens")


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def composed(recipe: str, *argv: str) -> Config:
    return compose([f"recipe={recipe}", "run.name=here", "validate_only=true", *argv], ROOT)


def plan_of(recipe: str, cluster: str, *argv: str) -> str:
    config = composed(recipe, f"include=cluster/{cluster}", *argv)
    resolve_ranks(config, ALONE)
    missing = check(config)
    return "\n".join(plan_lines(config, user_callbacks(config), missing))


@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_is_planned_on_every_cluster(recipe: str, cluster: str) -> None:
    text = plan_of(recipe, cluster)
    assert len(re.findall(r"^ {13}(?:math|code)_\d+k ", text, re.MULTILINE)) == 6
    # 16 bytes a parameter of weights, gradients and moments: neither model fits on one GPU of 80 GB.
    assert ("DOES NOT FIT training" in text) == (cluster == "one_gpu")
    assert "not there    yet, though training needs it: more_problems.code.path=data/code.parquet" in text


def test_one_gpu_has_room_for_the_smallest_of_the_family() -> None:
    small = "model.path=deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B"
    assert "DOES NOT FIT" not in plan_of("acereason_7b", "one_gpu", small)


def test_what_only_training_needs_is_refused_by_training() -> None:
    run = compose(["recipe=acereason_7b", "include=cluster/h100_16x8", "run.name=here"], ROOT)
    with pytest.raises(UserError, match=r"trainer\.num_nodes=16: .*start it on every node with torchrun or srun"):
        resolve_ranks(run, ALONE)
    with pytest.raises(UserError, match=r"^more_problems\.code\.path=data/code\.parquet: no such file"):
        check(run)


def test_a_plan_says_which_sandbox_is_missing() -> None:
    [no_isolation, no_file] = check(composed("acereason_7b", "sandbox.without=[namespaces,landlock,seccomp]"))
    assert no_isolation.startswith("code rewards need file-system, network, process isolation")
    assert no_file.startswith("more_problems.code.path=")
    with pytest.raises(UserError, match="there is no"):
        check(composed("acereason_7b", "sandbox.without=[chroot]"))


def test_a_stage_too_long_for_the_model_is_found_without_the_hub() -> None:
    with pytest.raises(UserError, match="prompt and response must fit in 131072 tokens"):
        check(composed("acereason_7b", "evaluation.max_response_tokens=131072"))


def flat(tree: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested mappings."""
    if not isinstance(tree, dict):
        yield key, tree
        return
    for name, value in tree.items():
        yield from flat(value, f"{key}.{name}" if key else name)


@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_cluster_changes_nothing_that_is_learned(recipe: str, cluster: str) -> None:
    plain, there = (
        dict(flat(OmegaConf.to_container(OmegaConf.structured(composed(recipe, *argv)))))
        for argv in ((), (f"include=cluster/{cluster}",))
    )
    changed = {key for key in there if there[key] != plain.get(key)}
    assert [key for key in changed if not key.startswith((*MACHINE, *MEMORY))] == []
    assert there["trainer.max_steps"] == plain["trainer.max_steps"] == 4500


@pytest.mark.parametrize("cluster", [cluster for cluster in CLUSTERS if cluster.startswith("h100")])
def test_a_node_has_the_papers_64_verifying_processes(cluster: str) -> None:
    config = composed("acereason_7b", f"include=cluster/{cluster}")
    assert config.rewards.workers * config.trainer.devices == 64
    assert config.trainer.ranks == {"h100_16x8": 128, "h100_1x8": 8}[cluster]


def rows() -> list[list[str]]:
    """The table of the paper's numbers in docs/paper.md, without its head."""
    text = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
    table = text.partition("## The numbers of the recipes")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


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


NAMES = ("class_path", "name")


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


def test_the_plan_of_128_gpus_is_made_on_any_machine() -> None:
    words = ["recipe=acereason_14b", "include=cluster/h100_16x8", "validate_only=true", "run.name=here"]
    done = subprocess.run(
        [sys.executable, "train.py", *words], env=fresh_environment(), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "128 (16 node(s) × 8)" in done.stdout and "14,770,033,664 parameters" in done.stdout


def test_the_torchrun_script_starts_the_ranks_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "train.py").symlink_to(ROOT / "train.py")
    words = ["127.0.0.1", "trial", "recipe=acereason_7b", "include=cluster/one_gpu", "validate_only=true"]
    environment = fresh_environment(NODES="1", GPUS="1", PORT="0", PYTHONPATH=str(ROOT / "src"))
    done = subprocess.run(
        [str(ROOT / "scripts" / "train_torchrun.sh"), *words],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    assert "ranks        1 (1 node(s) × 1)" in done.stdout
    assert "run folder   runs/trial" in done.stdout


def test_the_torchrun_script_wants_a_host_and_a_name() -> None:
    script = ROOT / "scripts" / "train_torchrun.sh"
    done = subprocess.run([script, "node0", "recipe=acereason_7b"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ")
