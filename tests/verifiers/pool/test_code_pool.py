"""Programs judged by a pool of real workers: each verdict its own, whatever happens to workers and zones."""

import contextlib
import json
import os
import random
import re
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acereason.config.schema import SandboxConfig
from acereason.errors import UserError
from acereason.problems.problem import CodeTest, CodeTests, Problem
from acereason.sandbox import processes
from acereason.sandbox.isolation import Sandbox, find_isolation
from acereason.verifiers.code.verifier import CodeVerifier
from acereason.verifiers.pool.pool import VerifierPool
from acereason.verifiers.pool.suites import SUITES_HELD
from acereason.verifiers.verifier import JUDGED_REASONS

PATIENCE = 200.0
SUM = "print(sum(map(int, input().split())))\n"


def problem(*tests: tuple[str, str], **fields: object) -> Problem:
    return Problem("p", "code", "?", tests=CodeTests.pack(CodeTest(*test) for test in tests), **fields)  # type: ignore[arg-type]


def response(program: str) -> str:
    return f"I think. </think> So:\n```python\n{program}\n```\n"


def make_pool(workers: int = 2, **settings: object) -> VerifierPool:
    """Skips the test where programs cannot be isolated."""
    config = SandboxConfig(**{"failing_first": False, **settings})  # type: ignore[arg-type]
    try:
        return VerifierPool(workers, PATIENCE, 1024, ("math", "code"), config)
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def pool() -> Iterator[VerifierPool]:
    with make_pool() as shared:
        yield shared


def descendants(parent: int) -> dict[int, str]:
    """Processes below one, and their command lines."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            below.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = {}, [parent]
    while waiting:
        for child in below.get(waiting.pop(), []):
            waiting.append(child)
            try:
                found[child] = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
    return found


def left(workers: set[int]) -> set[str]:
    """Folders and groups that carry the number of a worker."""
    names = [name for at in (tempfile.gettempdir(),) for name in os.listdir(at)]
    names += [os.path.basename(at) for at, _, _ in os.walk("/sys/fs/cgroup")]
    return {
        name for name in names if (match := re.match(r"acereason-(?:\d+-)?(\d+)-", name)) and int(match[1]) in workers
    }


def test_each_program_gets_its_own_verdict(pool: VerifierPool) -> None:
    asked = problem(("3 4\n", "7\n"), ("1 1\n", "2\n"))
    programs = {
        SUM: (1.0, "passed", None),
        "print(7)": (0.0, "wrong_answer", 1),
        "print(8)": (0.0, "wrong_answer", 0),
        "1 // 0": (0.0, "runtime_error", 0),
        "print(7": (0.0, "syntax_error", 0),
    }
    futures = [pool.submit(asked, response(program)) for program in programs]
    futures += [pool.submit_answer(asked, program) for program in programs]
    verdicts = [future.result(PATIENCE) for future in futures]
    assert [(each.reward, each.reason, each.first_failing_test) for each in verdicts] == 2 * list(programs.values())
    assert [each.extracted.strip() for each in verdicts] == 2 * [program.strip() for program in programs]
    assert all(each.judged for each in verdicts)


def test_math_and_code_share_a_pool(pool: VerifierPool) -> None:
    futures = [pool.submit(Problem("m", "math", "?", answer=f"{n}"), f"</think> \\boxed{{{n}}}") for n in range(50)]
    futures += [pool.submit(problem(("", f"{n}")), response(f"print({n})")) for n in range(50)]
    assert [future.result(PATIENCE).reason for future in futures] == ["correct"] * 50 + ["passed"] * 50


@pytest.mark.parametrize("text", ["no end", "</think> no block", "</think>\n```cpp\nint main() {}\n```\n"])
def test_a_response_without_a_program_needs_no_worker(pool: VerifierPool, text: str) -> None:
    verdict = pool.submit(problem(("", "7")), text).result(PATIENCE)
    assert (verdict.reward, verdict.extracted, verdict.seconds, verdict.judged) == (0.0, "", 0.0, True)
    assert verdict.reason == ("no_code" if "</think>" in text else "no_think_end")


def test_equal_programs_for_equal_tests_are_judged_once(pool: VerifierPool) -> None:
    before = pool.shared
    program = "import random, time\ntime.sleep(0.1)\nprint(5)\n"
    futures = [pool.submit(problem(("", "5")), response(program)) for _ in range(20)]
    verdicts = [future.result(PATIENCE) for future in futures]
    assert {verdict.reason for verdict in verdicts} == {"passed"}
    assert sum(verdict.seconds > 0 for verdict in verdicts) == 1
    assert pool.shared == before + 19
    others = [problem(("", "6")), problem(("", "5"), ("", "5")), problem(("", "5"), time_limit_seconds=5.0)]
    assert [pool.submit(each, response(program)).result(PATIENCE).seconds > 0 for each in others] == [True] * 3
    assert pool.shared == before + 19


def test_what_ran_into_a_limit_is_judged_anew(pool: VerifierPool) -> None:
    asked = problem(("", "5"), time_limit_seconds=0.3)
    for _ in range(2):
        verdict = pool.submit_answer(asked, "import time\ntime.sleep(60)").result(PATIENCE)
        assert (verdict.reason, verdict.first_failing_test, verdict.judged) == ("timeout", 0, True)
        assert verdict.seconds >= 0.3


def test_more_problems_than_workers_hold_get_the_right_tests(pool: VerifierPool) -> None:
    draw = random.Random(5)
    asked = [problem((f"{n}\n", f"{n * n}\n")) for n in range(3 * SUITES_HELD)]
    order = [draw.randrange(len(asked)) for _ in range(600)]
    futures = [
        pool.submit_answer(asked[n], f"print(int(input()) * {n if k % 2 else n + 1})") for k, n in enumerate(order)
    ]
    verdicts = [future.result(PATIENCE) for future in futures]
    # n * n is what is expected; 0 * 1 is 0 as well
    assert [verdict.reward for verdict in verdicts] == [float(k % 2 or n == 0) for k, n in enumerate(order)]


def test_hostile_programs_cost_no_worker(pool: VerifierPool) -> None:
    hostile = [
        "import os\nos.kill(os.getppid(), 9)",
        "import os\nos.kill(-1, 9)",
        "import os\nfor n in range(3, 4096):\n    try: os.write(n, b'{\"reward\": 1.0}\\n')\n    except OSError: pass",
        "print('[' * 10_000_000)",
        "print('\\udcff' * 10_000_000)",
        "x = bytearray(1 << 60)",
        "def f(): return f()\nf()",
        "import os\nos.abort()",
    ]
    before = pool.replaced
    futures = [pool.submit_answer(problem(("", "7"), time_limit_seconds=5.0), program) for program in hostile]
    verdicts = [future.result(PATIENCE) for future in futures]
    assert {verdict.reward for verdict in verdicts} == {0.0}
    assert {verdict.reason for verdict in verdicts} <= JUDGED_REASONS["code"] | {"memory", "timeout"}
    assert pool.submit_answer(problem(("", "7")), "print(7)").result(PATIENCE).reward == 1.0
    assert pool.replaced == before


def workers() -> list[int]:
    return sorted(pid for pid, command in descendants(os.getpid()).items() if "pool.worker" in command)


def zone_parents() -> list[int]:
    """Keepers and zygotes: what forks programs, and what waits for that."""
    keepers = [pid for worker in workers() for pid in processes.descendants(worker) if parent_of(pid) == worker]
    return [*keepers, *(pid for keeper in keepers for pid in processes.descendants(keeper) if parent_of(pid) == keeper)]


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return -1


@pytest.mark.parametrize("victims", [workers, zone_parents])
def test_whatever_is_killed_every_program_gets_its_verdict(victims: Callable[[], list[int]]) -> None:
    with make_pool() as pool:
        pool.wait_ready()
        asked = problem(("3 4\n", "7\n"), ("1 1\n", "2\n"))
        right = [f"# {n}\nimport time\ntime.sleep(0.02)\n{SUM}" for n in range(60)]
        wrong = [f"# {n}\nimport time\ntime.sleep(0.02)\nprint(7)" for n in range(60)]
        futures = [pool.submit_answer(asked, program) for pair in zip(right, wrong, strict=True) for program in pair]
        done, killed = threading.Event(), set[int]()

        def kill() -> None:
            draw = random.Random(5)
            while not done.wait(0.7):
                if found := victims():
                    victim = draw.choice(found)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(victim, signal.SIGKILL)
                        killed.add(victim)

        killer = threading.Thread(target=kill)
        killer.start()
        verdicts = [future.result(PATIENCE) for future in futures]
        done.set()
        killer.join()
    assert killed
    assert [(verdict.reward, verdict.reason) for verdict in verdicts] == [(1.0, "passed"), (0.0, "wrong_answer")] * 60


@pytest.mark.parametrize("without", [[], ["namespaces"]], ids=["all", "without_namespaces"])
def test_close_leaves_nothing(without: list[str]) -> None:
    before = set(os.listdir("/proc/self/fd")), set(descendants(os.getpid()))
    pool = make_pool(without=without)
    pool.wait_ready()
    program = "import os, time\nopen('x', 'w').write('x')\ntry: os.fork()\nexcept OSError: pass\ntime.sleep(600)\n"
    pending = [pool.submit_answer(problem(("", "7")), f"# {n}\n{program}") for n in range(8)]
    last = time.monotonic() + 60
    while len(ours := set(workers()) - before[1]) < 2 or any(len(processes.descendants(each)) < 3 for each in ours):
        assert time.monotonic() < last, "no programs were started"
        time.sleep(0.05)
    started = set(descendants(os.getpid())) - before[1]
    pool.close()
    assert [future.result(0).reason for future in pending] == ["closed"] * 8
    last = time.monotonic() + 60
    while (set(os.listdir("/proc/self/fd")), set(descendants(os.getpid()))) != before or left(started):
        assert time.monotonic() < last, (descendants(os.getpid()), left(started))
        time.sleep(0.05)


def test_a_machine_that_cannot_isolate_programs_judges_none() -> None:
    weak = SandboxConfig(without=["namespaces", "landlock", "seccomp"])
    with pytest.raises(UserError, match=r"code rewards need file-system, network, process isolation"):
        VerifierPool(1, PATIENCE, 1024, ("code",), weak)
    VerifierPool(1, PATIENCE, 1024, ("math",), weak).close()
    weak.allow_weak = True
    with VerifierPool(1, PATIENCE, 1024, ("code",), weak) as pool:
        assert pool.submit_answer(problem(("", "7")), "print(7)").result(PATIENCE).reward == 1.0


# The verifier itself


def make_verifier(**settings: object) -> CodeVerifier:
    config = SandboxConfig(**settings)  # type: ignore[arg-type]
    try:
        verifier = CodeVerifier(Sandbox(config, find_isolation(config)).to_json())
    except UserError as error:
        pytest.skip(str(error))
    verifier.warm_up()
    return verifier


@pytest.mark.parametrize("failing_first", [True, False])
def test_tests_that_failed_before_come_first_where_the_settings_say_so(failing_first: bool) -> None:
    verifier = make_verifier(failing_first=failing_first)
    asked = problem(*((f"{n}\n", f"{n}\n") for n in range(6)))
    wrong_at_4 = "n = int(input())\nprint(n if n != 4 else -1)\n"
    wrong_at_2_and_4 = "n = int(input())\nprint(n if n not in (2, 4) else -1)\n"
    assert verifier.judge(asked, wrong_at_2_and_4).first_failing_test == 2
    assert verifier.judge(asked, wrong_at_4).first_failing_test == 4
    assert verifier.judge(asked, wrong_at_4).first_failing_test == 4
    assert verifier.judge(asked, wrong_at_2_and_4).first_failing_test == (4 if failing_first else 2)
    assert verifier.judge(asked, "print(input())").reward == 1.0
    verifier.close()


def test_a_verdict_tells_how_long_it_took_and_what_was_judged() -> None:
    verifier = make_verifier()
    verdict = verifier.judge(problem(("", "7")), "import time\ntime.sleep(0.3)\nprint(7)")
    assert (verdict.reward, verdict.extracted) == (1.0, "import time\ntime.sleep(0.3)\nprint(7)")
    assert verdict.seconds >= 0.3
    verifier.close()


def test_a_problem_as_large_as_they_come_is_judged(pool: VerifierPool) -> None:
    lines = "".join(f"{n}\n" for n in range(200_000))
    asked = problem(*((f"{n}\n{lines}", f"{n}\n{lines}") for n in range(12)))
    echo = "import sys\nsys.stdout.write(sys.stdin.read())\n"
    assert pool.submit_answer(asked, echo).result(PATIENCE).reward == 1.0
    off = echo.replace("read()", "read().replace('\\n199999\\n', '\\n')")
    assert pool.submit_answer(asked, off).result(PATIENCE).reason == "wrong_answer"
    assert len(json.dumps(lines)) > 1 << 20
