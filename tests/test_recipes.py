"""The paper's recipes compose, are planned and fit on every cluster file, on a machine that has none of it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fresh_process import fresh_environment
from omegaconf import OmegaConf
from recipe_tables import RECIPES, ROOT, composed, table

from acereason.config.compose import compose
from acereason.curricula.user_callbacks import user_callbacks
from acereason.distributed.environment import RankInfo, resolve_ranks
from acereason.errors import UserError
from acereason.planning.checks import check
from acereason.planning.plan import plan_lines

CLUSTERS = sorted(path.stem for path in (ROOT / "conf" / "cluster").glob("*.yaml"))
ALONE = RankInfo(0, 0, 1, 1, 0, "")
MACHINE = ("trainer.", "engine.", "rewards.workers", "checkpoint.every_n_steps")
"""What a cluster file may set, and what of the model decides memory alone."""
MEMORY = ("model.activation_checkpointing", "model.micro_batch_tokens", "model.head_chunk_tokens")


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


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
    assert "missing: more_problems.code.path=data/code.parquet" in text


def test_one_gpu_has_room_for_the_smallest_of_the_family() -> None:
    small = "model.path=deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B"
    assert "DOES NOT FIT" not in plan_of("acereason_7b", "one_gpu", small)
    assert "1,777,088,000 parameters" in plan_of("one_gpu_1_5b", "one_gpu")


def test_one_gpu_has_room_for_7b_at_8k_only_if_it_is_offloaded() -> None:
    large = "model.path=deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"
    assert "DOES NOT FIT training" in plan_of("one_gpu_1_5b", "one_gpu", large)
    text = plan_of("one_gpu_1_5b", "one_gpu", large, "model.cpu_offload=true")
    assert "DOES NOT FIT" not in text and "up to 8,192 tokens" in text
    # 16 bytes a parameter; tensors below 16 MiB are rounded up to powers of two.
    assert "a node: 113.59 GiB for weights, gradients and optimizer; 56.85 GiB is pinned" in text


@pytest.mark.parametrize(
    ("sleep", "host"),
    [
        ("drop", "host memory  no weights: sleeping engines drop theirs"),
        ("keep", "host memory  a node: 196.02 GiB for sleeping engines of 110.05 GiB; 196.02 GiB is pinned"),
    ],
)
def test_14b_fits_8_gpus_and_the_plan_says_what_is_pinned(sleep: str, host: str) -> None:
    text = plan_of("acereason_14b", "h100_1x8", f"engine.sleep={sleep}")
    assert "DOES NOT FIT" not in text and host in text.splitlines()


def test_what_only_training_needs_is_refused_by_training() -> None:
    run = compose(["recipe=acereason_7b", "include=cluster/h100_16x8", "run.name=here"], project=ROOT)
    with pytest.raises(UserError, match=r"trainer\.num_nodes=16: .*start it on every node with torchrun or srun"):
        resolve_ranks(run, ALONE)
    with pytest.raises(UserError, match=r"^more_problems\.code\.path=data/code\.parquet: no such file"):
        check(run)


def test_a_plan_says_which_sandbox_is_missing() -> None:
    [no_isolation, no_file] = check(composed("acereason_7b", "sandbox.without=[namespaces,landlock,seccomp]"))
    assert no_isolation.startswith("code rewards need file-system, network, process isolation")
    assert no_file.startswith("more_problems.code.path=")
    with pytest.raises(UserError, match="no chroot; valid: user_namespace"):
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


def test_the_memory_that_the_page_tells_is_that_of_the_plan() -> None:
    told = table("recipes.md", "Memory")
    assert len(told) == len(RECIPES) * len(CLUSTERS)
    for size, cluster, training, generating, cache, share in told:
        text = plan_of(f"acereason_{size.lower()}", cluster.strip("`"))
        assert f"in all       training {training} (the engine sleeps), generating {generating}, of 79 GiB" in text
        assert f" or {cache}; an even share of a step is {share}" in text


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
