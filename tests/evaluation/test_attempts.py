"""Attempts: counted as a reader would, with seeds of their own, and kept through a kill."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fresh_process import fresh_environment
from tiny_runs import JudgeHere, alone, prompts, tokenizer

from acereason.engines.engine import Request, Sampling
from acereason.engines.prompt import Prompt
from acereason.engines.rollout import rollout_seed
from acereason.engines.scripted_engine import ScriptedEngine
from acereason.engines.shared import SharedEngines
from acereason.errors import StopRequested
from acereason.evaluation.attempt_files import AttemptFiles
from acereason.evaluation.attempts import AttemptKey, ProblemScores, attempt
from acereason.evaluation.solve_rates import SolveRate, write_rates
from acereason.problems.problem import Problem
from acereason.training.rewind import cut_back
from acereason.verifiers.verifier import Verdict

TESTS = Path(__file__).resolve().parent.parent
PROMPTS: Sequence[Prompt] = prompts(6)
IDS = [prompt.problem.id for prompt in PROMPTS]
N, SAMPLING, KEY = 4, Sampling(max_tokens=2), AttemptKey((3, "refilter", 7), "these weights and tests")
TABLE = "refilter/step-000007.parquet"


class Attempts:
    """Engines whose response to a request depends on its seed alone, and a list of all requests."""

    def __init__(self, right: int = 2, stop_after: int | None = None) -> None:
        self.right, self.stop_after = right, stop_after
        self.asked: list[Request] = []
        self.engines: SharedEngines = alone(ScriptedEngine(self.answer), JudgeHere(self.judge).submit)
        self.engines.stop_requested = lambda: self.stop_after is not None and len(self.asked) >= self.stop_after

    def answer(self, request: Request) -> list[int]:
        self.asked.append(request)
        return tokenizer().encode("7" if request.seed % 3 < self.right else "878")

    @staticmethod
    def judge(problem: Problem, response: str) -> float:
        return float(response == "7")


def run(engines: SharedEngines, root: Path | None = None, **how: Any) -> list[ProblemScores]:
    return attempt(engines, PROMPTS, N, SAMPLING, KEY, root / TABLE if root else None, **how)


def expected(key: AttemptKey = KEY, n: int = N, right: int = 2) -> list[int]:
    """Return how often each problem is solved."""
    problems = [prompt.problem for prompt in PROMPTS]
    return [sum(key.seed_of(problem, sample) % 3 < right for sample in range(n)) for problem in problems]


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "refilter").iterdir())


def test_attempts_are_counted_with_their_lengths_and_cuts() -> None:
    found = run(Attempts().engines)
    assert [scores.problem for scores in found] == IDS
    assert [scores.solved for scores in found] == expected()
    assert len(set(expected())) > 1  # otherwise the test would say little
    for prompt, scores, solved in zip(PROMPTS, found, expected(), strict=True):
        wrong, rate = N - solved, SolveRate.of(scores)
        assert (rate.attempts, rate.solve_rate) == (4, 1 - wrong / 4)
        assert (rate.level, rate.domain) == (prompt.problem.level, "math")
        # One token for a right response; wrong ones have three and are cut at two.
        assert (rate.length_mean, rate.truncated) == (1 + wrong / 4, wrong / 4)


@pytest.mark.parametrize("chunk", [1, 4, 6])
def test_chunks_change_no_result(tmp_path: Path, chunk: int) -> None:
    attempts = Attempts()
    found = run(attempts.engines, tmp_path / "chunks", chunk=chunk)
    assert [scores.solved for scores in found] == expected()
    assert len({request.seed for request in attempts.asked}) == 6 * 4
    run(Attempts().engines, tmp_path / "whole")
    assert (tmp_path / "chunks" / TABLE).read_bytes() == (tmp_path / "whole" / TABLE).read_bytes()


def test_seeds_are_those_of_no_training_step_and_differ_by_step_problem_and_sample() -> None:
    problems, keys = [prompt.problem for prompt in PROMPTS], (KEY, AttemptKey((3, "refilter", 8)))
    ours = {key.seed_of(problem, n) for key in keys for problem in problems for n in range(4)}
    assert len(ours) == 2 * 6 * 4
    assert not ours & {rollout_seed(3, step, p.id, n) for step in (-1, 7, 8) for p in problems for n in range(4)}


def test_each_response_is_on_disk_as_soon_as_it_is_judged(tmp_path: Path) -> None:
    seen: list[int] = []

    def answer(request: Request) -> list[int]:
        lines = [path.read_text().count("\n") for path in tmp_path.rglob("*.jsonl")]
        seen.append(sum(lines) - len(lines))  # without the first line, the key
        return tokenizer().encode("7")

    run(alone(ScriptedEngine(answer), JudgeHere(Attempts.judge).submit), tmp_path)
    assert seen == list(range(24))


def test_stopped_attempts_resume_at_the_next_response(tmp_path: Path) -> None:
    stopped = Attempts(stop_after=19)  # in the fifth problem
    with pytest.raises(StopRequested):
        run(stopped.engines, tmp_path, chunk=2)
    assert names(tmp_path) == ["step-000007-rank-0-0.jsonl"]
    cut_back(tmp_path, 7)
    resumed, done = Attempts(), []
    found = run(resumed.engines, tmp_path, advance=done.append, chunk=1)
    assert done == [4, 1, 1]
    assert len(resumed.asked) == 24 - 19
    assert {request.prompt_ids for request in resumed.asked} == {prompt.ids for prompt in PROMPTS[4:]}
    assert found == run(Attempts().engines, tmp_path / "whole")
    for root in (tmp_path, tmp_path / "whole"):
        assert names(root) == ["step-000007.parquet"]
    assert (tmp_path / TABLE).read_bytes() == (tmp_path / "whole" / TABLE).read_bytes()


def test_attempts_that_are_on_disk_are_not_made_again(tmp_path: Path) -> None:
    found = run(Attempts().engines, tmp_path)
    before, again = (tmp_path / TABLE).stat(), Attempts()
    assert run(again.engines, tmp_path) == found
    assert not again.asked
    assert (tmp_path / TABLE).stat().st_mtime_ns == before.st_mtime_ns


def test_the_table_has_the_problems_that_were_asked_whatever_was_asked_before(tmp_path: Path) -> None:
    run(Attempts().engines, tmp_path)
    fewer = Attempts()
    attempt(fewer.engines, PROMPTS[:2], N, SAMPLING, KEY, tmp_path / TABLE)
    assert not fewer.asked
    attempt(Attempts().engines, PROMPTS[:2], N, SAMPLING, KEY, tmp_path / "fresh.parquet")
    assert pq.read_table(tmp_path / "fresh.parquet").num_rows == 2 * N
    more = Attempts()
    attempt(more.engines, PROMPTS[:3], N, SAMPLING, KEY, tmp_path / "fresh.parquet")
    assert len(more.asked) == N
    assert pq.read_table(tmp_path / "fresh.parquet")["problem"].to_pylist() == [i for i in IDS[:3] for _ in range(N)]


def test_journals_that_a_kill_left_beside_the_table_are_removed(tmp_path: Path) -> None:
    run(Attempts().engines, tmp_path)
    table = (tmp_path / TABLE).read_bytes()
    left = AttemptFiles(tmp_path / TABLE, KEY.digest(N, SAMPLING))
    left.add(pq.read_table(tmp_path / TABLE).to_pylist()[0], rank=0)
    left.close()
    again = Attempts()
    run(again.engines, tmp_path)
    assert not again.asked
    assert names(tmp_path) == ["step-000007.parquet"]
    assert (tmp_path / TABLE).read_bytes() == table


@pytest.mark.parametrize(
    ("key", "n", "sampling"),
    [
        (replace(KEY, seeds=(4, "refilter", 7)), N, SAMPLING),
        (KEY, 5, SAMPLING),
        (KEY, N, replace(SAMPLING, temperature=0.9)),
        (replace(KEY, decided_by="another time limit, model or test"), N, SAMPLING),
    ],
    ids=["seed", "n", "sampling", "decided_by"],
)
@pytest.mark.parametrize("stop_after", [19, None], ids=["journal", "table"])
def test_files_of_other_attempts_are_not_used(
    tmp_path: Path, key: AttemptKey, n: int, sampling: Sampling, stop_after: int | None
) -> None:
    if stop_after:
        with pytest.raises(StopRequested):
            run(Attempts(stop_after=stop_after).engines, tmp_path)
    else:
        run(Attempts().engines, tmp_path)
    attempts = Attempts()
    found = attempt(attempts.engines, PROMPTS, n, sampling, key, tmp_path / TABLE)
    assert len(attempts.asked) == 6 * n
    assert [scores.solved for scores in found] == expected(key, n)
    assert names(tmp_path) == ["step-000007.parquet"]
    assert pq.read_table(tmp_path / TABLE).num_rows == 6 * n


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 9)  # in the last of 19 rows


def empty(path: Path) -> None:
    os.truncate(path, 0)


def cut_in_the_key(path: Path) -> None:
    os.truncate(path, 9)


@pytest.mark.parametrize(("damage", "left"), [(cut, 6), (empty, 24), (cut_in_the_key, 24)])
def test_rows_that_a_kill_tore_are_sampled_again(tmp_path: Path, damage: Callable[[Path], None], left: int) -> None:
    with pytest.raises(StopRequested):
        run(Attempts(stop_after=19).engines, tmp_path)
    damage(tmp_path / "refilter" / "step-000007-rank-0-0.jsonl")
    cut_back(tmp_path, 7)
    attempts = Attempts()
    assert [scores.solved for scores in run(attempts.engines, tmp_path)] == expected()
    assert len(attempts.asked) == left
    run(Attempts().engines, tmp_path / "whole")
    assert (tmp_path / TABLE).read_bytes() == (tmp_path / "whole" / TABLE).read_bytes()


def test_texts_are_kept_or_left_out(tmp_path: Path) -> None:
    run(Attempts().engines, tmp_path)
    kept = pq.read_table(tmp_path / TABLE).to_pylist()
    run(Attempts().engines, tmp_path / "bare", keep_texts=False)
    bare = pq.read_table(tmp_path / "bare" / TABLE).to_pylist()
    texts = ("prompt", "response", "gold", "extracted")
    assert {row["response"] for row in kept} == {"7", "87"}
    assert {row["seconds"] for row in kept} == {None}
    assert [{**row, **dict.fromkeys(texts)} for row in kept] == bare


@pytest.mark.parametrize(
    ("step", "left"),
    [
        (0, ["step-000000-rank-0-0.jsonl"]),
        (6, ["step-000000-rank-0-0.jsonl"]),
        (7, ["step-000000-rank-0-0.jsonl", "step-000007-rank-0-0.jsonl"]),
        (8, ["step-000000-rank-0-0.jsonl", "step-000007-rank-0-0.jsonl", "step-000008.parquet"]),
    ],
)
@pytest.mark.parametrize("folder", ["refilter", "evaluations"])
def test_a_resumed_run_keeps_the_attempts_of_its_own_policy_and_earlier_ones(
    tmp_path: Path, folder: str, step: int, left: list[str]
) -> None:
    for number in (0, 7):
        journal = AttemptFiles(tmp_path / folder / f"step-{number:06d}.parquet", "key")
        journal.add({"problem": "p", "sample": 0}, rank=0)
        journal.close()
    write_rates(tmp_path / folder / "step-000008.parquet", [], set())
    cut_back(tmp_path, step)
    assert sorted(path.name for path in (tmp_path / folder).iterdir()) == left


SCRIPT = """
import json, sys
from dataclasses import asdict, replace
from pathlib import Path
import torch.distributed as dist
import test_attempts
from test_attempts import IDS, PROMPTS, Attempts, run
from acereason.curricula.hard_prompts import EpochRates
from acereason.distributed.collectives import gather, share
from acereason.engines.queue import EngineRanks, WorkQueue
from acereason.rollout.batch import RolloutBatch
from acereason.errors import StopRequested
from tiny_runs import rollout
import torch

store = next(dist.rendezvous("env://"))[0]
dist.init_process_group("cpu:gloo")
rank = dist.get_rank()
if rank:  # as where a model's files have other times on another node's disk
    test_attempts.KEY = replace(test_attempts.KEY, decided_by="other times of files")
ranks = EngineRanks()

def on_all_ranks(stop_after=None):
    attempts = Attempts(stop_after=stop_after if rank == 1 else None)
    attempts.engines.ranks, attempts.engines.queue = ranks, WorkQueue(ranks, dist.PrefixStore(str(stop_after), store))
    return attempts

root = Path(sys.argv[1])
stopped = on_all_ranks(stop_after=5)
try:
    run(stopped.engines, root, chunk=2)
    end = "done"
except StopRequested:
    end = "stopped"
dist.barrier()
before = sum(path.read_text().count("\\n") - 1 for path in root.rglob("*.jsonl"))
dist.barrier()
resumed = on_all_ranks()
found = run(resumed.engines, root, chunk=3)
epoch = EpochRates()
mine = [[rollout(1.0, prompt=PROMPTS[n]), rollout(float(n % 2), prompt=PROMPTS[n])] for n in share(6, rank, 2)]
ones = torch.ones(3, 2)
batch = RolloutBatch(step=0, groups=mine, rewards=ones, advantages=ones, temperature=1.0, ends_epoch=True)
epoch.add(batch, 0)
facts = [end, before, len(resumed.asked), [asdict(scores) for scores in found]]
facts.append({id: rate.solve_rate for id, rate in epoch.of(IDS).items()})
rows = gather(facts)
if rank == 0:
    print(json.dumps(rows))
dist.destroy_process_group()
"""


def test_two_ranks_attempt_together_and_return_and_leave_the_same(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    paths = [TESTS.parent / "src", TESTS, TESTS / "evaluation", TESTS.parent]
    env = fresh_environment(PYTHONPATH=":".join(map(str, paths)), OMP_NUM_THREADS="1")
    done = subprocess.run(
        [*command, str(tmp_path / "run")], env=env, cwd=TESTS.parent, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = json.loads(done.stdout.splitlines()[-1])
    assert first[0] == second[0] == "stopped"
    assert 5 <= first[1] < 24 and first[1] == second[1]
    assert first[2] + second[2] == 24 - first[1]
    alone_here = run(Attempts().engines, tmp_path / "alone")
    assert first[3] == second[3]
    assert [scores["rewards"] for scores in first[3]] == [list(scores.rewards) for scores in alone_here]
    assert first[4] == second[4] == {problem_id: (1 + n % 2) / 2 for n, problem_id in enumerate(IDS)}
    assert (tmp_path / "run" / TABLE).read_bytes() == (tmp_path / "alone" / TABLE).read_bytes()


def test_verdicts_below_one_are_not_solved() -> None:
    def half_right(problem: Problem, response: str) -> "Future[Verdict]":
        future: Future[Verdict] = Future()
        future.set_result(Verdict(0.5, "", "partly", 0.0))
        return future

    found = run(alone(ScriptedEngine(lambda request: tokenizer().encode("7")), half_right))
    assert {scores.solved for scores in found} == {0}
