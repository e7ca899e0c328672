"""One update over the same rollouts gives the same gradient on one rank, on several, and on those of two agents."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fresh_process import fresh_environment

from acereason.distributed.environment import free_port

TESTS = Path(__file__).resolve().parent.parent
SCRIPT = str(TESTS / "policy" / "rank_gradients.py")
Gradients = dict[str, dict[str, torch.Tensor]]


def torchrun(*words: str) -> "subprocess.Popen[str]":
    env = fresh_environment(PYTHONPATH=f"{TESTS.parent / 'src'}:{TESTS}", OMP_NUM_THREADS="1")
    command = [sys.executable, "-m", "torch.distributed.run", *words]
    return subprocess.Popen(command, env=env, cwd=TESTS.parent, stderr=subprocess.PIPE, text=True)


def gradients(output: Path, *agents: list[str], shard_ranks: int = 0) -> Gradients:
    started = [torchrun(*words, SCRIPT, str(output), str(shard_ranks)) for words in agents]
    for agent in started:
        _, errors = agent.communicate(timeout=120)
        assert agent.returncode == 0, errors[-3000:]
    return torch.load(output)


@pytest.fixture(scope="module")
def one_rank(tmp_path_factory: pytest.TempPathFactory) -> Gradients:
    return gradients(tmp_path_factory.mktemp("one") / "gradients.pt", ["--standalone", "--nproc-per-node", "1"])


def difference(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    """‖g₁ − g₂‖ / ‖g₁‖ over all parameters."""
    assert ours.keys() == theirs.keys()
    a, b = (torch.cat([g[name].flatten().double() for name in sorted(g)]) for g in (ours, theirs))
    assert a.norm() > 1e-4
    return ((a - b).norm() / a.norm()).item()


def worst(found: Gradients, reference: Gradients) -> float:
    assert len(found) == 96  # gradient and mismatch: 2 batches × 3 shares × 4 objectives × spread or not
    return max(difference(reference[key], found[key]) for key in found)


def test_one_rank_gives_the_same_gradient_however_its_groups_came(one_rank: Gradients) -> None:
    assert len({key.split()[-2] for key in one_rank}) == 4
    for key, found in one_rank.items():
        assert difference(one_rank[key.replace("uneven", "even").replace("none", "even")], found) <= 1e-6


def test_normalisations_differ_so_that_agreement_means_something(one_rank: Gradients) -> None:
    keys = [f"half even {name} spread=True" for name in ("batch", "group", "sequence")]
    assert difference(one_rank[keys[0]], one_rank[keys[1]]) > 0.01
    assert difference(one_rank[keys[0]], one_rank[keys[2]]) > 0.01
    assert 0.01 < difference(one_rank[keys[0]], one_rank["half even masked spread=True"]) < 0.99


def test_two_ranks_with_equal_unequal_and_no_work(one_rank: Gradients, tmp_path: Path) -> None:
    found = gradients(tmp_path / "two.pt", ["--standalone", "--nproc-per-node", "2"])
    assert worst(found, one_rank) <= 1e-5


def test_two_torchrun_agents(one_rank: Gradients, tmp_path: Path) -> None:
    meeting = ["--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d"]
    meeting += ["--rdzv-endpoint", f"127.0.0.1:{free_port()}", "--rdzv-id", "gradients"]
    assert worst(gradients(tmp_path / "agents.pt", meeting, meeting), one_rank) <= 1e-5


def test_copies_of_the_policy_on_two_ranks_each(one_rank: Gradients, tmp_path: Path) -> None:
    found = gradients(tmp_path / "hybrid.pt", ["--standalone", "--nproc-per-node", "4"], shard_ranks=2)
    assert worst(found, one_rank) <= 1e-5
