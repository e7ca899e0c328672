import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acereason.errors import UserError
from acereason.problems.problem import Problem
from acereason.verifiers.pool import worker_process
from acereason.verifiers.pool.pool import VerifierPool

PATIENCE = 60.0
BURNING_WORKER = Path(__file__).with_name("burning_worker.py")


def problem(answer: str) -> Problem:
    return Problem(f"p{answer}", "math", "?", answer=answer)


def boxed(answer: str) -> str:
    return f"thinking </think> \\boxed{{{answer}}}"


def workers_of(parent: int) -> set[int]:
    """Verifier processes started by a process."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            status, command = (entry / "stat").read_text(), (entry / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(status.rpartition(")")[2].split()[1]) == parent and re.search(rb"pool[./]\w*worker", command):
            found.add(int(entry.name))
    return found


def running_workers(parent: int) -> set[int]:
    """Those that have started: once ready, a worker sends its standard error nowhere."""
    ready = set()
    for pid in workers_of(parent):
        try:
            if os.readlink(f"/proc/{pid}/fd/2") == os.devnull:
                ready.add(pid)
        except FileNotFoundError:
            continue
    return ready


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def pool() -> Iterator[VerifierPool]:
    with VerifierPool(workers=2, timeout_seconds=PATIENCE, memory_mib=1024) as shared:
        yield shared


@pytest.fixture
def burning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pools start workers whose verifier does what the answer says, whatever the math verifier makes of anything."""
    monkeypatch.setattr(worker_process, "WORKER", (str(BURNING_WORKER),))


def test_each_future_gets_the_verdict_of_its_own_response(pool: VerifierPool) -> None:
    # Response i answers i or i + 1 in turn; rewards must alternate and every verdict name its own answer.
    answers = [i + i % 2 for i in range(500)]
    futures = [pool.submit(problem(str(i)), boxed(str(answer))) for i, answer in enumerate(answers)]
    verdicts = [future.result(PATIENCE) for future in futures]
    assert [verdict.extracted for verdict in verdicts] == [str(answer) for answer in answers]
    assert [verdict.reward for verdict in verdicts] == [1.0, 0.0] * 250
    assert {verdict.reason for verdict in verdicts} == {"correct", "wrong"}


def test_reaches_sympy(pool: VerifierPool) -> None:
    assert pool.submit(problem("(x+1)^2"), boxed("x^2+2x+1")).result(PATIENCE).reason == "correct"


def test_text_of_any_kind_arrives_whole(pool: VerifierPool) -> None:
    answer = '"\n\\n\t\u2028\U0001f600\ud800\x00'
    assert pool.submit(problem("5"), boxed(answer)).result(PATIENCE).extracted == answer.strip()
    assert pool.submit_answer(problem("5"), answer).result(PATIENCE).extracted == answer
    assert pool.submit_answer(problem(answer), answer).result(PATIENCE).reward == 1.0


@pytest.mark.parametrize("response", ["no end of thinking", "", boxed("5").replace("</think>", "")])
def test_a_response_without_an_answer_needs_no_worker(pool: VerifierPool, response: str) -> None:
    verdict = pool.submit(problem("5"), response).result(PATIENCE)
    assert (verdict.reward, verdict.extracted, verdict.reason, verdict.seconds) == (0.0, "", "no_think_end", 0.0)


def test_bare_answers(pool: VerifierPool) -> None:
    right, wrong, blank = (pool.submit_answer(problem("1/2"), answer) for answer in ("0.5", "2", " \n"))
    assert (right.result(PATIENCE).reward, wrong.result(PATIENCE).reward) == (1.0, 0.0)
    assert right.result().extracted == "0.5"
    assert blank.result(PATIENCE).reason == "empty"


def test_workers_are_clean_interpreters() -> None:
    others = workers_of(os.getpid())
    with VerifierPool(workers=2, timeout_seconds=PATIENCE, memory_mib=1024) as pool:
        pool.wait_ready()
        wait_until(lambda: len(running_workers(os.getpid()) - others) == 2)
        for pid in workers_of(os.getpid()) - others:
            assert "libtorch" not in Path(f"/proc/{pid}/maps").read_text()
            assert "Threads:\t1\n" in Path(f"/proc/{pid}/status").read_text()


def test_a_code_problem_in_a_math_pool_is_a_zero_with_a_reason(pool: VerifierPool) -> None:
    for submit in (pool.submit, pool.submit_answer):
        verdict = submit(Problem("c", "code", "?"), "</think>").result(PATIENCE)
        assert (verdict.reward, verdict.reason) == (0.0, "no_verifier")


def test_hostile_answers_end_with_a_reason_and_the_pool_goes_on() -> None:
    hostile = ["9^{9^{9^9}}", "(10^{10^7})!", "9" * 1_000_000, "{" * 100_000 + "}" * 100_000]
    with VerifierPool(workers=2, timeout_seconds=3.0, memory_mib=1024) as pool:
        futures = [pool.submit(problem("5"), boxed(answer)) for answer in hostile]
        honest = [pool.submit(problem(f"{i}"), boxed(f"{i}")) for i in range(50)]
        for future, answer in zip(futures, hostile, strict=True):
            verdict = future.result(PATIENCE)
            assert (verdict.reward, verdict.extracted) == (0.0, answer)
            assert verdict.reason in {"wrong", "unparsed", "too_long", "too_large", "timeout", "memory"}
        assert [future.result(PATIENCE).reward for future in honest] == [1.0] * 50


@pytest.mark.usefixtures("burning")
def test_time_is_bounded() -> None:
    with VerifierPool(workers=1, timeout_seconds=2.0, memory_mib=512) as pool:
        endless = pool.submit_answer(problem("5"), "spin")
        behind = pool.submit_answer(problem("5"), "keep 1")
        verdict = endless.result(PATIENCE)
        assert (verdict.reward, verdict.extracted, verdict.reason) == (0.0, "spin", "timeout")
        assert 2.0 <= verdict.seconds < PATIENCE
        assert behind.result(PATIENCE).reward == 1.0
        assert pool.replaced == 1


@pytest.mark.usefixtures("burning")
@pytest.mark.parametrize("answer", ["fill", "keep 600"])
def test_memory_is_bounded(answer: str) -> None:
    with VerifierPool(workers=1, timeout_seconds=PATIENCE, memory_mib=512) as pool:
        too_much = pool.submit_answer(problem("5"), answer)
        behind = pool.submit_answer(problem("5"), "keep 1")
        assert (too_much.result(PATIENCE).reward, too_much.result().reason) == (0.0, "memory")
        assert behind.result(PATIENCE).reward == 1.0
        assert pool.replaced == 1


@pytest.mark.usefixtures("burning")
def test_memory_that_judgements_leave_behind_is_not_taken_from_the_next() -> None:
    # 512 MiB hold the 300 of one judgement, never those of two.
    with VerifierPool(workers=1, timeout_seconds=PATIENCE, memory_mib=512) as pool:
        futures = [pool.submit_answer(problem(f"{i}"), "keep 300") for i in range(5)]
        assert [future.result(PATIENCE).reason for future in futures] == ["correct"] * 5


@pytest.mark.usefixtures("burning")
def test_equal_judgements_in_flight_are_one() -> None:
    # `count` tells how many judgements the worker has made.
    with VerifierPool(workers=1, timeout_seconds=PATIENCE, memory_mib=512) as pool:
        futures = [pool.submit(problem("5"), f"{i} </think> \\boxed{{count}}") for i in range(20)]
        futures += [pool.submit_answer(problem("5"), "count") for _ in range(20)]
        verdicts = [future.result(PATIENCE) for future in futures]
        assert {(verdict.extracted, verdict.reason) for verdict in verdicts} == {("count", "1")}
        assert [verdict.seconds > 0 for verdict in verdicts] == [True] + [False] * 39
        assert pool.shared == 39
        others = [pool.submit_answer(problem("6"), "count"), pool.submit_answer(problem("5"), "count ")]
        assert [future.result(PATIENCE).reason for future in others] == ["2", "3"]


@pytest.mark.usefixtures("burning")
def test_finished_judgements_are_remembered() -> None:
    with VerifierPool(workers=1, timeout_seconds=PATIENCE, memory_mib=512) as pool:
        verdicts = [pool.submit_answer(problem("5"), "count").result(PATIENCE) for _ in range(3)]
        assert [verdict.reason for verdict in verdicts] == ["1"] * 3
        assert [verdict.seconds > 0 for verdict in verdicts] == [True, False, False]
        assert pool.shared == 2


@pytest.mark.usefixtures("burning")
@pytest.mark.parametrize(
    ("answer", "seconds", "reason", "deaths"),
    [("spin", 0.5, "timeout", 1), ("fill", PATIENCE, "memory", 1), ("abort", PATIENCE, "crashed", 2)],
)
def test_what_may_be_the_machines_fault_is_shared_but_not_remembered(
    answer: str, seconds: float, reason: str, deaths: int
) -> None:
    with VerifierPool(workers=1, timeout_seconds=seconds, memory_mib=512) as pool:
        for times in (1, 2):
            verdicts = [pool.submit_answer(problem("5"), answer) for _ in range(3)]
            assert [future.result(PATIENCE).reason for future in verdicts] == [reason] * 3
            assert pool.replaced == times * deaths
        assert pool.shared == 4


def test_killed_workers_cost_no_verdict() -> None:
    others = workers_of(os.getpid())
    with VerifierPool(workers=2, timeout_seconds=PATIENCE, memory_mib=1024) as pool:
        futures = [pool.submit(problem("x^2-1"), boxed(f"(x-1)(x+1)+{i}")) for i in range(100)]
        futures[0].result(PATIENCE)
        for pid in workers_of(os.getpid()) - others:
            os.kill(pid, signal.SIGKILL)
        verdicts = [future.result(PATIENCE) for future in futures]
    assert [verdict.reward for verdict in verdicts] == [1.0] + [0.0] * 99
    assert {verdict.reason for verdict in verdicts[1:]} == {"wrong"}
    assert pool.replaced == 2


@pytest.mark.usefixtures("burning")
def test_what_kills_two_workers_is_judged_crashed() -> None:
    others = workers_of(os.getpid())
    with VerifierPool(workers=1, timeout_seconds=PATIENCE, memory_mib=1024) as pool:
        deadly = [pool.submit_answer(problem("5"), "spin") for _ in range(2)]
        behind = [pool.submit_answer(problem(f"{i}"), "keep 1") for i in range(3)]
        killed: set[int] = set()
        while not deadly[1].done():
            for pid in running_workers(os.getpid()) - others - killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            time.sleep(0.05)
        assert {(future.result().reward, future.result().reason) for future in deadly} == {(0.0, "crashed")}
        assert [future.result(PATIENCE).reward for future in behind] == [1.0] * 3
    assert len(killed) == 2


def test_neither_submit_nor_the_pool_waits_for_a_worker() -> None:
    others = workers_of(os.getpid())
    # Stopped workers read nothing: 40 MB are far beyond what pipes hold, so a write that waits would hang here.
    with VerifierPool(workers=2, timeout_seconds=PATIENCE, memory_mib=1024) as pool:
        wait_until(lambda: len(running_workers(os.getpid()) - others) == 2)
        stopped = workers_of(os.getpid()) - others
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        answers = [f"{i}" + "9" * 1_000_000 for i in range(40)]
        futures = [pool.submit(problem("5"), boxed(answer)) for answer in answers]
        assert pool.submit(problem("5"), "no end").result(PATIENCE).reason == "no_think_end"
        assert not any(future.done() for future in futures)
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        assert [future.result(PATIENCE).extracted for future in futures] == answers
        assert not any(future.result().reward for future in futures)


@pytest.mark.usefixtures("burning")
def test_close_leaves_nothing() -> None:
    before = set(os.listdir("/proc/self/fd")), workers_of(os.getpid())
    pool = VerifierPool(workers=2, timeout_seconds=PATIENCE, memory_mib=1024)
    pool.wait_ready()
    pending = [pool.submit_answer(problem(f"{i // 2}"), "spin") for i in range(20)]
    cancelled = [pool.submit_answer(problem("1"), "spin") for _ in range(20)]
    was_cancelled = [future.cancel() for future in cancelled]
    pool.close()
    pool.close()
    assert (set(os.listdir("/proc/self/fd")), workers_of(os.getpid())) == before
    assert [future.result(0).reason for future in pending] == ["closed"] * 20
    assert [future.cancelled() or future.result(0).reason == "closed" for future in cancelled] == [True] * 20
    assert [future.cancelled() for future in cancelled] == was_cancelled
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(problem("5"), boxed("5"))


@pytest.mark.usefixtures("burning")
def test_a_cancelled_future_leaves_equal_ones_their_verdict() -> None:
    with VerifierPool(workers=1, timeout_seconds=PATIENCE, memory_mib=512) as pool:
        futures = [pool.submit_answer(problem("5"), "keep 1") for _ in range(2000)]
        cancelled = [future for future in futures[1000:] if future.cancel()]
        assert [future.result(PATIENCE).reward for future in futures if future not in cancelled] == [1.0] * (
            2000 - len(cancelled)
        )


@pytest.mark.parametrize("end", ["kill", "return"])
def test_workers_die_with_the_parent(end: str) -> None:
    code = (
        "import sys; from acereason.verifiers.pool.pool import VerifierPool; pool = VerifierPool(2, 60.0, 1024); "
        "pool.wait_ready(); print(flush=True); sys.stdin.readline()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        parent.stdout.readline()
        wait_until(lambda: len(running_workers(parent.pid)) == 2)
        workers = workers_of(parent.pid)
        if end == "kill":
            parent.kill()
        else:
            parent.communicate(b"\n", timeout=PATIENCE)
    wait_until(lambda: not any(is_alive(pid) for pid in workers))


def is_alive(pid: int) -> bool:
    """Whether a process exists and is more than a corpse its parent has yet to collect."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_workers_that_cannot_start_are_reported_and_judge_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with VerifierPool(workers=3, timeout_seconds=PATIENCE, memory_mib=1024) as pool:
        future = pool.submit(problem("5"), boxed("5"))
        with pytest.raises(RuntimeError, match=r"no verifier worker started: /bin/false"):
            pool.wait_ready()
        assert future.result(PATIENCE).reason == "no_worker"


@pytest.mark.parametrize(
    ("workers", "timeout_seconds", "memory_mib", "setting"),
    [
        (0, 1.0, 1024, "rewards.workers=0"),
        (1, 0.0, 1024, "rewards.timeout_seconds=0.0"),
        (1, math.inf, 1024, "rewards.timeout_seconds=inf"),
        (1, 1.0, 64, "memory_mib=64"),
    ],
)
def test_limits_that_cannot_work_name_the_setting(
    workers: int, timeout_seconds: float, memory_mib: int, setting: str
) -> None:
    with pytest.raises(UserError, match=setting):
        VerifierPool(workers, timeout_seconds, memory_mib)
