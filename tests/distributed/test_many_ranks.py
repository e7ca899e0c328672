"""Four ranks, a process each: objects travel, engines of two ranks agree, the queue gives each number once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fresh_process import fresh_environment

SCRIPT = """
import json, os, sys
import torch, torch.distributed as dist
from acereason.distributed.collectives import exchange, gather, rank_and_world
from acereason.engines.queue import POLL_STEPS, EngineRanks, WorkQueue
from acereason.config.schema import TrainerConfig
from acereason.distributed.timeouts import set_timeouts, timeout
from acereason.policy.mesh import sharding_mesh
store = next(dist.rendezvous("env://"))[0]
# As on GPUs, one backend for the tensors of each kind of device; a second gloo stands in for NCCL.
dist.Backend.register_backend("second", dist.ProcessGroupGloo, devices=["cuda"])
dist.init_process_group("cpu:gloo,cuda:second")
trainer = TrainerConfig(timeout_minutes=300, nccl_timeout_minutes=7, shard_ranks=2)
set_timeouts(dist.group.WORLD, trainer)
everyone = dist.init_device_mesh("cpu", (4, 1), mesh_dim_names=("data_parallel", "tensor_parallel"))
copies = sharding_mesh(everyone, trainer).get_all_groups()
rank, world = rank_and_world()
ranks = EngineRanks(2)
single = EngineRanks()
facts = {
    "timeouts": [
        [group.size(), *(timeout(group, torch.device(kind)).total_seconds() / 60 for kind in ("cpu", "cuda"))]
        for group in (dist.group.WORLD, *copies)
    ],
    "engine timeout": timeout(ranks._group).total_seconds() / 60,
    "gather": gather({"rank": rank}),
    "exchange": exchange([f"{rank}->{to}" * (rank * to) for to in range(world)]),
    "engine": [ranks.engine, ranks.engines, ranks.leads],
    "agreed": ranks.agreed(rank),
    "summed": ranks.summed(torch.tensor([float(rank)])).tolist(),
    "polls": [ranks.poll(lambda: rank == 2) for _ in range(2 * POLL_STEPS)],
    "pairs": list(WorkQueue(ranks, dist.PrefixStore("pairs", store)).numbers(11, 2)),
    "single": list(WorkQueue(single, dist.PrefixStore("single", store)).numbers(11, 0)),
}
rows = gather(facts)
if rank == 0:
    print(json.dumps(rows), flush=True)
dist.destroy_process_group()
os._exit(0)  # threads of gloo are taken down in either order at exit
"""


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    script = tmp_path_factory.mktemp("ranks") / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "4", str(script)]
    env = fresh_environment(PYTHONPATH=str(Path("src").resolve()), OMP_NUM_THREADS="1")
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_objects_arrive_in_the_order_of_ranks(facts: list[dict]) -> None:
    for rank, found in enumerate(facts):
        assert found["gather"] == [{"rank": r} for r in range(4)]
        assert found["exchange"] == [f"{r}->{rank}" * (r * rank) for r in range(4)]


def test_gpus_wait_minutes_and_phases_hours_also_in_the_groups_of_copies_and_engines(facts: list[dict]) -> None:
    for found in facts:
        assert found["timeouts"] == [[4, 300, 7], [2, 300, 7], [2, 300, 7]]
        assert found["engine timeout"] == 300


def test_two_ranks_are_one_engine_and_the_first_speaks_for_it(facts: list[dict]) -> None:
    assert [found["engine"] for found in facts] == [[0, 2, True], [0, 2, False], [1, 2, True], [1, 2, False]]
    assert [found["agreed"] for found in facts] == [0, 0, 2, 2]
    assert [found["summed"] for found in facts] == [[1.0], [1.0], [5.0], [5.0]]


def test_the_leaders_flag_counts_on_both_ranks_at_the_same_poll(facts: list[dict]) -> None:
    assert [sum(found["polls"]) for found in facts] == [0, 0, 2, 2]
    assert facts[2]["polls"] == facts[3]["polls"]


def test_engines_draw_every_number_once_and_their_ranks_the_same(facts: list[dict]) -> None:
    assert facts[0]["pairs"] == facts[1]["pairs"] and facts[2]["pairs"] == facts[3]["pairs"]
    assert sorted(facts[0]["pairs"] + facts[2]["pairs"]) == list(range(11))
    assert sorted(number for found in facts for number in found["single"]) == list(range(11))
    assert [found["pairs"][:2] for found in facts] == [[0, 1], [0, 1], [2, 3], [2, 3]]
