"""Four ranks, a process each: objects travel, engines of two ranks agree, the queue gives each number once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fresh_process import fresh_environment

SCRIPT = """
import json, sys
import torch, torch.distributed as dist
from acereason.distributed.collectives import exchange, gather, rank_and_world
from acereason.engines.queue import POLL_STEPS, EngineRanks, WorkQueue
store = next(dist.rendezvous("env://"))[0]
dist.init_process_group("cpu:gloo")
rank, world = rank_and_world()
ranks = EngineRanks(2)
single = EngineRanks()
facts = {
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
    print(json.dumps(rows))
dist.destroy_process_group()
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
