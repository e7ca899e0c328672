import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acereason.errors import UserError
from acereason.problems.problem import Problem
from acereason.rewards.pool import VerifierPool

PATIENCE = 60.0


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
        if int(status.rpartition(")")[2].split()[1]) == parent and b"acereason.rewards.worker" in command:
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
    assert pool.submit(problem("5"), "no end of thinking").result(PATIENCE).reason == "no_think_end"
    assert pool.submit(problem("5"), "").result(PATIENCE).reason == "no_think_end"


def test_workers_are_clean_interpreters(pool: VerifierPool) -> None:
    pool.wait_ready()
    wait_until(lambda: len(running_workers(os.getpid())) == 2)
    for pid in workers_of(os.getpid()):
        assert "libtorch" not in Path(f"/proc/{pid}/maps").read_text()
        assert "Threads:\t1\n" in Path(f"/proc/{pid}/status").read_text()


def test_a_code_problem_in_a_math_pool_is_a_zero_with_a_reason(pool: VerifierPool) -> None:
    verdict = pool.submit(Problem("c", "code", "?"), "</think>").result(PATIENCE)
    assert (verdict.reward, verdict.reason) == (0.0, "no_verifier")


def test_hostile_answers_end_with_a_reason_and_the_pool_goes_on() -> None:
    hostile = {
        "9^{9^{9^9}}": {"timeout", "memory"},
        "(10^{10^7})!": {"timeout", "memory"},
        "9" * 1_000_000: {"wrong", "timeout"},
        "{" * 100_000 + "}" * 100_000: {"too_long", "timeout"},
    }
    with VerifierPool(workers=2, timeout_seconds=3.0, memory_mib=1024) as pool:
        futures = [pool.submit(problem("5"), boxed(answer)) for answer in hostile]
        honest = [pool.submit(problem("5"), boxed("5")) for _ in range(50)]
        for future, reasons in zip(futures, hostile.values(), strict=True):
            verdict = future.result(PATIENCE)
            assert verdict.reward == 0.0
            assert verdict.reason in reasons
        assert [future.result(PATIENCE).reward for future in honest] == [1.0] * 50
        assert pool.replaced >= 2


def test_memory_is_bounded() -> None:
    # Each open brace is remembered: four million take more than the 512 MiB a worker may have.
    with VerifierPool(workers=1, timeout_seconds=PATIENCE, memory_mib=512) as pool:
        assert pool.submit(problem("5"), boxed("{" * 4_000_000)).result(2 * PATIENCE).reason == "memory"
        assert pool.submit(problem("5"), boxed("5")).result(PATIENCE).reward == 1.0


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


def test_what_kills_two_workers_is_judged_crashed() -> None:
    others = workers_of(os.getpid())
    with VerifierPool(workers=1, timeout_seconds=PATIENCE, memory_mib=1024) as pool:
        deadly = pool.submit(problem("5"), boxed("9^{9^{9^9}}"))
        behind = [pool.submit(problem("5"), boxed("5")) for _ in range(3)]
        killed: set[int] = set()
        while not deadly.done():
            for pid in running_workers(os.getpid()) - others - killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            time.sleep(0.05)
        assert (deadly.result().reward, deadly.result().reason) == (0.0, "crashed")
        assert [future.result(PATIENCE).reward for future in behind] == [1.0] * 3
    assert len(killed) == 2


def test_submit_never_waits_for_a_worker() -> None:
    others = workers_of(os.getpid())
    # Stopped workers read nothing: 40 MB are far beyond what pipes hold, so a submit that wrote would hang here.
    with VerifierPool(workers=2, timeout_seconds=PATIENCE, memory_mib=1024) as pool:
        wait_until(lambda: len(running_workers(os.getpid()) - others) == 2)
        stopped = workers_of(os.getpid()) - others
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        futures = [pool.submit(problem("5"), boxed("5") + "." * 1_000_000) for _ in range(40)]
        assert not any(future.done() for future in futures)
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        assert [future.result(PATIENCE).reward for future in futures] == [1.0] * 40


def test_close_leaves_nothing() -> None:
    before = set(os.listdir("/proc/self/fd")), workers_of(os.getpid())
    pool = VerifierPool(workers=2, timeout_seconds=PATIENCE, memory_mib=1024)
    pool.wait_ready()
    pending = pool.submit(problem("5"), boxed("9^{9^{9^9}}"))
    cancelled = [pool.submit(problem("5"), boxed("9^{9^{9^9}}")) for _ in range(20)][-1]
    cancelled.cancel()
    pool.close()
    pool.close()
    assert (set(os.listdir("/proc/self/fd")), workers_of(os.getpid())) == before
    assert pending.result(0).reason == "closed"
    assert cancelled.done()
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(problem("5"), boxed("5"))


@pytest.mark.parametrize("end", ["kill", "return"])
def test_workers_die_with_the_parent(end: str) -> None:
    code = (
        "import sys; from acereason.rewards.pool import VerifierPool; pool = VerifierPool(2, 60.0, 1024); "
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


def test_code_is_refused_until_it_can_be_judged() -> None:
    with pytest.raises(UserError, match=r"problems\.domain=code.*sandbox.*problems\.domain=math"):
        VerifierPool(workers=1, timeout_seconds=1.0, memory_mib=1024, domains=("code",))


@pytest.mark.parametrize(
    ("workers", "timeout_seconds", "memory_mib", "setting"),
    [(0, 1.0, 1024, "rewards.workers=0"), (1, 0.0, 1024, "rewards.timeout_seconds=0.0"), (1, 1.0, 64, "memory_mib=64")],
)
def test_limits_that_cannot_work_name_the_setting(
    workers: int, timeout_seconds: float, memory_mib: int, setting: str
) -> None:
    with pytest.raises(UserError, match=setting):
        VerifierPool(workers, timeout_seconds, memory_mib)
