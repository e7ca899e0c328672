"""Solve rates: counted as a reader would, by seeds that nothing else decides, and kept through a kill."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fresh_process import fresh_environment
from lightning.pytorch.callbacks.progress.rich_progress import CustomProgress
from rich.console import Console
from tiny_runs import JudgeHere, alone, prompts, tokenizer

from acereason.curricula.hard_prompts import histogram
from acereason.engines.collect import Prompt
from acereason.engines.engine import Request, Sampling
from acereason.engines.rollout import rollout_seed
from acereason.engines.scripted_engine import ScriptedEngine
from acereason.engines.shared import SharedEngines
from acereason.errors import StopRequested, UserError
from acereason.evaluation.attempt_files import SolveRate, SolveRateFiles, read_rates
from acereason.evaluation.attempts import Measurement, measure
from acereason.problems.problem import Problem
from acereason.progress import Lines, Progress
from acereason.training.rewind import cut_back
from acereason.verifiers.verifier import Verdict

TESTS = Path(__file__).resolve().parent.parent
PROMPTS: Sequence[Prompt] = prompts(6)
IDS = [prompt.problem.id for prompt in PROMPTS]
HOW = Measurement(step=7, seed=3, attempts=4, sampling=Sampling(max_tokens=2))


class Attempts:
    """Engines whose response to a request depends on its seed alone; counts what they are asked."""

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


def expected(right: int = 2, how: Measurement = HOW) -> dict[str, int]:
    """How often each problem is solved."""
    problems = [prompt.problem for prompt in PROMPTS]
    return {p.id: sum(how.seed_of(p, attempt) % 3 < right for attempt in range(how.attempts)) for p in problems}


def parts(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "solve_rates").iterdir())


def test_attempts_are_counted_and_their_lengths_and_cuts_too(tmp_path: Path) -> None:
    found = measure(Attempts().engines, PROMPTS, HOW, SolveRateFiles(tmp_path))
    assert list(found) == IDS
    assert {problem_id: rate.solved for problem_id, rate in found.items()} == expected()
    assert len(set(expected().values())) > 1  # or this would say little
    for prompt, rate in zip(PROMPTS, found.values(), strict=True):
        wrong = 4 - expected()[prompt.problem.id]
        assert (rate.attempts, rate.solve_rate) == (4, 1 - wrong / 4)
        assert (rate.level, rate.domain) == (prompt.problem.level, "math")
        # One token for a right response; wrong ones have three and are cut at two.
        assert (rate.length_mean, rate.truncated) == (1 + wrong / 4, wrong / 4)


@pytest.mark.parametrize("chunk", [1, 4, 6])
def test_chunks_decide_nothing(tmp_path: Path, chunk: int) -> None:
    attempts = Attempts()
    found = measure(attempts.engines, PROMPTS, HOW, SolveRateFiles(tmp_path), chunk=chunk)
    assert {problem_id: rate.solved for problem_id, rate in found.items()} == expected()
    assert len({request.seed for request in attempts.asked}) == 6 * 4
    assert len(parts(tmp_path)) == -(-6 // chunk)


def test_seeds_are_those_of_no_training_step_and_differ_by_step_problem_and_attempt() -> None:
    problems = [prompt.problem for prompt in PROMPTS]
    ours = {how.seed_of(p, n) for how in (HOW, Measurement(8, 3, 4, HOW.sampling)) for p in problems for n in range(4)}
    assert len(ours) == 2 * 6 * 4
    assert not ours & {rollout_seed(3, step, p.id, n) for step in (-1, 7, 8) for p in problems for n in range(4)}


def test_a_measurement_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    stopped = Attempts(stop_after=19)  # in the fifth problem; chunks of two
    with pytest.raises(StopRequested):
        measure(stopped.engines, PROMPTS, HOW, SolveRateFiles(tmp_path), chunk=2)
    assert parts(tmp_path) == ["step-000007-part-0000.parquet", "step-000007-part-0001.parquet"]
    cut_back(tmp_path, 7)
    resumed, done = Attempts(), []
    found = measure(resumed.engines, PROMPTS, HOW, SolveRateFiles(tmp_path), advance=done.append, chunk=1)
    assert done == [4, 1, 1]
    assert {request.prompt_ids for request in resumed.asked} == {prompt.ids for prompt in PROMPTS[4:]}
    whole = measure(Attempts().engines, PROMPTS, HOW, SolveRateFiles(tmp_path / "whole"))
    assert found == whole and list(found) == list(whole)
    for root, rates in ((tmp_path, found), (tmp_path / "whole", whole)):
        SolveRateFiles(root).finish(7, HOW.key(), rates.values(), set(IDS[:2]))
        assert parts(root) == ["step-000007.parquet"]
    table = Path("solve_rates/step-000007.parquet")
    assert (tmp_path / table).read_bytes() == (tmp_path / "whole" / table).read_bytes()


def test_a_measurement_that_was_over_is_not_made_again(tmp_path: Path) -> None:
    files = SolveRateFiles(tmp_path)
    found = measure(Attempts().engines, PROMPTS, HOW, files)
    files.finish(7, HOW.key(), found.values(), set())
    again = Attempts()
    assert measure(again.engines, PROMPTS, HOW, files) == found
    assert not again.asked


@pytest.mark.parametrize(
    "other",
    [
        Measurement(7, 4, 4, HOW.sampling),
        Measurement(7, 3, 5, HOW.sampling),
        Measurement(7, 3, 4, Sampling(max_tokens=2, temperature=0.9)),
        Measurement(7, 3, 4, HOW.sampling, judging="another time limit"),
        Measurement(7, 3, 4, HOW.sampling, initial_policy="another model"),
        Measurement(7, 3, 4, HOW.sampling, problems="other tests"),
    ],
    ids=["seed", "attempts", "sampling", "judging", "policy", "problems"],
)
def test_chunks_of_another_measurement_are_not_taken(tmp_path: Path, other: Measurement) -> None:
    measure(Attempts().engines, PROMPTS, HOW, SolveRateFiles(tmp_path), chunk=3)
    attempts = Attempts()
    found = measure(attempts.engines, PROMPTS, other, SolveRateFiles(tmp_path), chunk=6)
    assert len(attempts.asked) == 6 * other.attempts
    assert {problem_id: rate.solved for problem_id, rate in found.items()} == expected(how=other)
    assert parts(tmp_path) == ["step-000007-part-0000.parquet"]


@pytest.mark.parametrize("damage", ["cut", "emptied", "not renamed"])
def test_a_torn_file_is_none(tmp_path: Path, damage: str) -> None:
    measure(Attempts().engines, PROMPTS, HOW, SolveRateFiles(tmp_path), chunk=2)
    torn = tmp_path / "solve_rates" / "step-000007-part-0001.parquet"
    if damage == "not renamed":
        torn.rename(torn.with_name(f".{torn.name}.partial"))
    else:
        os.truncate(torn, torn.stat().st_size - 9 if damage == "cut" else 0)
    cut_back(tmp_path, 7)
    attempts = Attempts()
    found = measure(attempts.engines, PROMPTS, HOW, SolveRateFiles(tmp_path))
    assert {problem_id: rate.solved for problem_id, rate in found.items()} == expected()
    assert {request.prompt_ids for request in attempts.asked} == {prompt.ids for prompt in PROMPTS[2:4]}
    assert not [name for name in parts(tmp_path) if name.endswith(".partial")]


@pytest.mark.parametrize(
    ("step", "left"),
    [
        (0, ["step-000000-part-0000.parquet"]),
        (6, ["step-000000-part-0000.parquet"]),
        (7, ["step-000000-part-0000.parquet", "step-000007-part-0000.parquet"]),
        (8, ["step-000000-part-0000.parquet", "step-000007-part-0000.parquet", "step-000008.parquet"]),
    ],
)
def test_a_run_that_goes_on_keeps_the_solve_rates_of_its_own_policy_and_earlier_ones(
    tmp_path: Path, step: int, left: list[str]
) -> None:
    rate = SolveRate("p", "math", None, 4, 1, 0.25)
    SolveRateFiles(tmp_path).add(0, "key", [rate])
    SolveRateFiles(tmp_path).add(7, "key", [rate])
    SolveRateFiles(tmp_path).finish(8, "key", [rate], {"p"})
    cut_back(tmp_path, step)
    assert parts(tmp_path) == left


def test_the_table_has_a_row_a_problem(tmp_path: Path) -> None:
    files = SolveRateFiles(tmp_path)
    rates = [SolveRate("p1", "math", 3, 4, 1, 0.25, 9.5, 0.5), SolveRate("p2", "code", None, None, None, 0.75)]
    files.finish(7, "", rates, {"p1"})
    assert pq.read_table(files.table(7)).to_pylist() == [
        {
            "problem": "p1",
            "domain": "math",
            "level": 3,
            "attempts": 4,
            "solved": 1,
            "solve_rate": 0.25,
            "length_mean": 9.5,
            "truncated": 0.5,
            "kept": True,
        },
        {
            "problem": "p2",
            "domain": "code",
            "level": None,
            "attempts": None,
            "solved": None,
            "solve_rate": 0.75,
            "length_mean": None,
            "truncated": None,
            "kept": False,
        },
    ]
    assert read_rates(files.table(7), "rates") == {"p1": 0.25, "p2": 0.75}


def test_a_file_without_solve_rates_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^x\.rates=no\.parquet: no such file$"):
        read_rates(Path("no.parquet"), "x.rates")
    text = Path("text.parquet")
    text.write_text("problem,solve_rate\n")
    with pytest.raises(UserError, match=r"^x\.rates=text\.parquet: cannot be read as Parquet: .+$"):
        read_rates(text, "x.rates")
    other = Path("other.parquet")
    pq.write_table(pq.read_table(_table(tmp_path)).select(["problem", "level"]), other)
    with pytest.raises(UserError, match=r"needs the columns problem and solve_rate, has problem, level$"):
        read_rates(other, "x.rates")


def _table(root: Path) -> Path:
    SolveRateFiles(root).finish(1, "", [SolveRate("p", "math", 1, 4, 1, 0.25)], set())
    return SolveRateFiles(root).table(1)


def test_a_histogram_in_words() -> None:
    rates = [0, 0, 1 / 16, 2 / 16, 5 / 16, 6 / 16, 7 / 16, 14 / 16, 15 / 16, 1]
    assert histogram(rates, 16) == "solved 0: 2, 1-2: 2, 5-6: 2, 7-8: 1, 13-14: 1, 15: 1, 16: 1 (of 16)"
    assert histogram([0.25, 0.5, 0.5, 1], 4) == "solved 1: 1, 2: 2, 4: 1 (of 4)"
    assert histogram([0, 1], 1) == "solved 0: 1, 1: 1 (of 1)"
    assert histogram([31 / 64, 33 / 64], 64) == "solved 25-32: 1, 33-40: 1 (of 64)"
    assert histogram([], 16) == "no problems"


def test_without_a_bar_there_is_a_line_for_every_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines("Solve rates", 30)
    for _ in range(15):
        lines(2)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 10
    assert printed[0] == "Solve rates: 4 of 30 (13%)"
    assert printed[-1] == "Solve rates: 30 of 30 (100%)"


def test_the_run_has_a_bar_for_it_while_it_lasts() -> None:
    bar = Progress()
    bar.progress = CustomProgress(console=Console(file=io.StringIO(), force_terminal=True))
    assert bar.is_live
    with pytest.raises(StopRequested), bar.task("Solve rates", 30) as advance:
        advance(20)
        advance(4)
        assert [(task.description, task.completed, task.total) for task in bar.progress.tasks] == [
            ("Solve rates", 24, 30)
        ]
        raise StopRequested
    assert bar.progress.tasks == []


SCRIPT = """
import json, sys
from dataclasses import asdict
from pathlib import Path
import torch.distributed as dist
from test_solve_rates import HOW, IDS, PROMPTS, Attempts
from acereason.curricula.hard_prompts import EpochRates
from acereason.evaluation.attempt_files import SolveRateFiles
from acereason.evaluation.attempts import measure
from acereason.distributed.collectives import gather, share
from acereason.engines.queue import EngineRanks, WorkQueue
from acereason.rollout.batch import RolloutBatch
from acereason.errors import StopRequested
from tiny_runs import rollout
import torch

store = next(dist.rendezvous("env://"))[0]
dist.init_process_group("cpu:gloo")
rank = dist.get_rank()
ranks = EngineRanks()

def on_all_ranks(stop_after=None):
    attempts = Attempts(stop_after=stop_after if rank == 1 else None)
    attempts.engines.ranks, attempts.engines.queue = ranks, WorkQueue(ranks, dist.PrefixStore(str(stop_after), store))
    return attempts

files = SolveRateFiles(Path(sys.argv[1]))
stopped = on_all_ranks(stop_after=5)
try:
    measure(stopped.engines, PROMPTS, HOW, files, chunk=2)
    end = "done"
except StopRequested:
    end = "stopped"
dist.barrier()
before = len(list(files.folder.iterdir()))
resumed = on_all_ranks()
found = measure(resumed.engines, PROMPTS, HOW, files, chunk=3)
epoch = EpochRates()
mine = [[rollout(1.0, prompt=PROMPTS[n]), rollout(float(n % 2), prompt=PROMPTS[n])] for n in share(6, rank, 2)]
epoch.add(RolloutBatch(0, mine, torch.ones(3, 2), torch.ones(3, 2), 1.0, ends_epoch=True), 0)
facts = [end, before, len(resumed.asked), [asdict(rate) for rate in found.values()]]
facts.append({id: rate.solve_rate for id, rate in epoch.of(IDS).items()})
rows = gather(facts)
if rank == 0:
    print(json.dumps(rows))
dist.destroy_process_group()
"""


def test_two_ranks_measure_together_and_know_the_same(tmp_path: Path) -> None:
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
    assert first[1] < 3 and first[1] == second[1]
    assert first[2] + second[2] == (6 - 2 * first[1]) * 4
    alone_here = measure(Attempts().engines, PROMPTS, HOW, SolveRateFiles(tmp_path / "alone"))
    assert first[3] == second[3]
    assert [rate["solved"] for rate in first[3]] == [rate.solved for rate in alone_here.values()]
    assert first[4] == second[4] == {problem_id: (1 + n % 2) / 2 for n, problem_id in enumerate(IDS)}


def test_verdicts_below_one_are_not_solved(tmp_path: Path) -> None:
    def half_right(problem: Problem, response: str) -> "Future[Verdict]":
        future: Future[Verdict] = Future()
        future.set_result(Verdict(0.5, "", "partly", 0.0))
        return future

    engines = alone(ScriptedEngine(lambda request: tokenizer().encode("7")), half_right)
    found = measure(engines, PROMPTS, HOW, SolveRateFiles(tmp_path))
    assert {rate.solved for rate in found.values()} == {0}
