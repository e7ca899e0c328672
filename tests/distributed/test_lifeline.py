import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fresh_process import fresh_environment

from acereason.distributed import lifeline
from acereason.distributed.lifeline import Lifeline

SCRIPT = str(Path(__file__).with_name("lifeline_rank.py"))


class Rank:
    """A process that runs lifeline_rank.py."""

    def __init__(self, errors: Path, *arguments: object, before: tuple[str, ...] = (), **variables: str) -> None:
        with errors.open("ab") as file:  # one file for all ranks, so that it holds their lines in order
            self.process = subprocess.Popen(
                [*before, sys.executable, SCRIPT, *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                env=fresh_environment(PYTHONUNBUFFERED="", **variables),
                text=True,
            )

    def say(self, text: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().rstrip("\n")

    def ask(self, text: str) -> str:
        self.say(text)
        return self.hear()

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def code(self) -> int:
        return self.process.wait(60)

    def end(self) -> None:
        assert self.process.stdout and self.process.stdin
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()


Start = Callable[..., Rank]


@pytest.fixture
def errors(tmp_path: Path) -> Path:
    return tmp_path / "errors.txt"


@pytest.fixture
def start(errors: Path) -> Iterator[Start]:
    """Starts single ranks, and leaves none."""
    started: list[Rank] = []

    def start(*arguments: object, **options: object) -> Rank:
        started.append(Rank(errors, *arguments, **options))
        return started[-1]

    yield start
    for rank in started:
        rank.end()


@pytest.fixture
def three(start: Start) -> list[Rank]:
    """Three ranks that have found each other."""
    zero = start(0)
    address = zero.hear().split()
    ranks = [zero, start(1, *address), start(2, *address)]
    assert [rank.hear() for rank in ranks] == ["joined"] * 3
    return ranks


def error_lines(errors: Path) -> list[str]:
    return [line for line in errors.read_text().splitlines() if line.startswith("error: ")]


def test_a_killed_rank_ends_the_others_and_is_named_once(three: list[Rank], errors: Path) -> None:
    three[0].ask("block")
    three[2].ask("block")
    three[1].signal(signal.SIGKILL)
    assert [three[0].code(), three[2].code()] == [1, 1]
    assert errors.read_text() == "error: rank 1 is gone\n"


def test_when_rank_0_is_killed_the_others_end_and_say_so(three: list[Rank], errors: Path) -> None:
    three[2].ask("block")
    three[0].signal(signal.SIGKILL)
    assert [three[1].code(), three[2].code()] == [1, 1]
    assert error_lines(errors) == ["error: rank 0 is gone"] * 2


def test_an_exception_nobody_told_of_is_a_rank_that_is_gone(three: list[Rank], errors: Path) -> None:
    three[2].say("raise out of ideas")
    assert [rank.code() for rank in three] == [1, 1, 1]
    assert "RuntimeError: out of ideas" in errors.read_text()
    assert error_lines(errors) == ["error: rank 2 is gone"]


def test_sigterm_on_one_rank_blocked_in_c_reaches_all(three: list[Rank]) -> None:
    three[2].ask("block")
    three[2].signal(signal.SIGTERM)
    assert [three[0].ask("wait"), three[1].ask("wait")] == ["SIGTERM False"] * 2
    assert three[2].process.poll() is None


def test_sigusr1_asks_all_to_be_queued_again_and_outweighs_sigterm(three: list[Rank]) -> None:
    three[0].signal(signal.SIGUSR1)
    assert [rank.ask("wait") for rank in three] == ["SIGUSR1 True"] * 3
    three[1].signal(signal.SIGTERM)
    assert [rank.ask("wait") for rank in three] == ["SIGUSR1 True"] * 3


def test_a_stop_request_before_the_ranks_have_met_is_passed_on(start: Start) -> None:
    zero = start(0)
    address = zero.hear().split()
    assert zero.hear() == "joined"
    early = start(1, *address, "--asked-to-stop")
    assert [early.hear(), early.hear()] == ["SIGTERM False", "joined"]
    assert zero.ask("wait") == "SIGTERM False"
    late = start(2, *address)
    assert late.hear() == "joined"
    assert late.ask("wait") == "SIGTERM False"


def test_a_stop_request_is_seen_though_somebody_replaced_the_handler(start: Start) -> None:
    zero = start(0, "--handlers-replaced")
    assert len(zero.hear().split()) == 2
    assert zero.hear() == "joined"
    zero.signal(signal.SIGTERM)
    assert zero.ask("wait") == "SIGTERM False"


def test_a_closed_terminal_asks_to_stop_unless_nohup_has_it_ignored(start: Start) -> None:
    plain, nohup = start(1, "--alone"), start(1, "--alone", "--hup-ignored")
    for rank in (plain, nohup):
        assert rank.hear() == "joined"
        rank.signal(signal.SIGHUP)
    assert plain.ask("wait") == "SIGHUP False"
    assert nohup.ask("stop?") == "False"


@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize("code", [1, 2])
def test_a_failure_ends_all_with_its_code_and_one_line(
    three: list[Rank], errors: Path, failing: int, code: int
) -> None:
    three[2].ask("block")
    three[failing].say(f"fail {code} trainer.x=3 cannot work: ärger")
    assert [rank.code() for rank in three] == [code] * 3
    assert errors.read_text() == "error: trainer.x=3 cannot work: ärger\n"


def test_of_two_failures_at_once_one_is_shown(three: list[Rank], errors: Path) -> None:
    three[0].signal(signal.SIGSTOP)
    three[1].say("fail 1 first")
    three[2].say("fail 1 second")
    three[0].signal(signal.SIGCONT)
    assert [rank.code() for rank in three] == [1, 1, 1]
    assert error_lines(errors) in (["error: first"], ["error: second"])


def test_a_rank_that_fails_because_another_is_gone_is_not_the_cause(three: list[Rank], errors: Path) -> None:
    three[0].signal(signal.SIGSTOP)  # so that it finds both at the same time
    three[2].say("fail 1 connection closed by peer")
    three[1].signal(signal.SIGKILL)
    three[1].code()
    three[0].signal(signal.SIGCONT)
    assert [three[0].code(), three[2].code()] == [1, 1]
    assert error_lines(errors) == ["error: rank 1 is gone"]


def test_a_failure_before_the_ranks_have_met_is_shown_by_the_rank_itself(start: Start, errors: Path) -> None:
    alone = start(1, "--alone")
    assert alone.ask(r"fail 2 no such\n  model") == "joined"
    assert alone.code() == 2
    assert errors.read_text() == "error: no such model\n"


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_has_failed_and_hangs_while_it_leaves_is_ended(start: Start, errors: Path, rank: int) -> None:
    hanging = start(rank, "--alone", "LEAVE_SECONDS=0.5")
    hanging.say("fail-and-block")
    assert hanging.code() == 7
    assert errors.read_text() == "error: out of memory\n"


def test_the_launcher_sees_which_ranks_ended_because_of_another(start: Start) -> None:
    zero = start(0, ACEREASON_LAUNCHED="1")
    one = start(1, *zero.hear().split(), ACEREASON_LAUNCHED="1")
    assert [zero.hear(), one.hear()] == ["joined"] * 2
    one.say("fail 1 out of memory")
    assert [zero.code(), one.code()] == [lifeline.ENDED_BY_OTHERS, 1]


def test_ranks_that_say_goodbye_may_leave_in_any_order(three: list[Rank], errors: Path) -> None:
    for rank in (1, 0, 2):
        assert three[rank].ask("close") == "closed"
        three[rank].process.stdin.close()
        assert three[rank].code() == 0
    assert errors.read_text() == ""


def test_a_rank_outlives_rank_0_that_said_goodbye(three: list[Rank], errors: Path) -> None:
    three[0].ask("close")
    three[0].signal(signal.SIGKILL)
    three[0].code()
    assert three[2].ask("stop?") == "False"
    three[2].say("fail 1 a late failure")
    assert three[2].code() == 1
    assert errors.read_text() == "error: a late failure\n"
    assert three[1].ask("close") == "closed"


def test_a_rank_ends_when_the_parent_was_killed_though_it_blocks_in_c(start: Start, errors: Path) -> None:
    parent = "import subprocess, sys; subprocess.Popen(sys.argv[1:]).wait()"
    rank = start(1, "--alone", "--launched", before=(sys.executable, "-c", parent))
    assert rank.hear() == "joined"
    assert rank.ask("block") == "blocking"
    rank.process.kill()  # the parent
    assert rank.hear() == ""  # the rank has ended: nobody holds its standard output
    assert errors.read_text() == "error: the program that started this rank is gone\n"


def test_a_launcher_that_is_gone_before_the_rank_looks_is_noticed(start: Start, errors: Path) -> None:
    rank = start(1, "--alone", "--launched", ACEREASON_PARENT="999999999")
    assert rank.code() == 1
    assert errors.read_text() == "error: the program that started this rank is gone\n"


def waiting_bytes(rank: Rank) -> int:
    """What a rank has written to standard output and nobody has read; 64 KiB are all that a pipe takes."""
    return int.from_bytes(fcntl.ioctl(rank.process.stdout, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_a_rank_that_sits_on_a_full_pipe_is_ended_too(three: list[Rank], errors: Path) -> None:
    three[1].say("flood")  # nobody reads; the thread that writes holds the lock of standard output
    while waiting_bytes(three[1]) < 65536:
        time.sleep(0.01)
    three[0].signal(signal.SIGKILL)
    assert three[1].code() == 1
    assert "error: rank 0 is gone" in error_lines(errors)


def test_a_forked_child_neither_hides_the_end_of_a_rank_nor_asks_it_to_stop(three: list[Rank], errors: Path) -> None:
    ended, kept = int(three[1].ask("fork")), int(three[1].ask("fork"))
    try:
        os.kill(ended, signal.SIGTERM)
        assert three[1].ask(f"reap {ended}") == "-15"
        assert [rank.ask("stop?") for rank in three] == ["False"] * 3
        three[1].signal(signal.SIGKILL)
        assert [three[0].code(), three[2].code()] == [1, 1]
        assert error_lines(errors) == ["error: rank 1 is gone"]
    finally:
        os.kill(kept, signal.SIGKILL)


def hello(port: str, rank: int, token: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", int(port)), timeout=60)
    connection.sendall(json.dumps({"kind": "hello", "rank": rank, "token": token}).encode() + b"\n")
    return connection


def messages(connection: socket.socket) -> list[dict[str, object]]:
    """All that still comes until the other end closes."""
    with connection.makefile("rb") as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    "sent",
    [
        b'{"kind": "hello", "rank": 1, "token": "0123456789abcdef0123456789abcdef"}\n',
        b'{"kind": "hello", "rank": 1}\n',
        b'{"kind": "stop", "signal": "SIGTERM"}\n',
        b"GET / HTTP/1.1\r\n\r\n",
        b"[" * 20_000 + b"\n",
        b"\xff\n",
    ],
)
def test_a_connection_without_the_right_hello_is_dropped(start: Start, sent: bytes) -> None:
    zero = start(0)
    port, token = zero.hear().split()
    with socket.create_connection(("127.0.0.1", int(port)), timeout=60) as stranger:
        stranger.sendall(sent)
        try:
            assert stranger.recv(100) == b""
        except ConnectionResetError:  # dropped before it had read all
            assert len(sent) > 4096
    assert [zero.hear(), zero.ask("stop?")] == ["joined", "False"]
    with hello(port, 1, token) as right:
        assert right.recv(100) == b'{"kind": "welcome"}\n'
        right.sendall(b'{"kind": "bye"}\n')


def test_a_line_without_end_is_dropped(start: Start) -> None:
    port, _ = start(0).hear().split()
    sent = 0
    with (
        socket.create_connection(("127.0.0.1", int(port)), timeout=60) as stranger,
        pytest.raises(ConnectionError),
    ):
        while sent < 100_000_000:
            sent += stranger.send(b"x" * 4096)
    assert sent < 100_000_000


def test_silent_strangers_keep_no_rank_out(start: Start) -> None:
    zero = start(0, "HELLO_SECONDS=3600")
    port, token = zero.hear().split()
    strangers = [socket.create_connection(("127.0.0.1", int(port)), timeout=60) for _ in range(400)]
    with hello(port, 1, token) as right:
        assert right.recv(100) == b'{"kind": "welcome"}\n'
        assert strangers[0].recv(1) == b""  # the oldest have made room
        right.sendall(b'{"kind": "bye"}\n')
    for stranger in strangers:
        stranger.close()
    assert [zero.hear(), zero.ask("stop?")] == ["joined", "False"]


def test_a_stranger_that_stays_silent_is_dropped(start: Start) -> None:
    port, _ = start(0, "HELLO_SECONDS=0.1").hear().split()
    with socket.create_connection(("127.0.0.1", int(port)), timeout=60) as stranger:
        assert stranger.recv(1) == b""


def test_a_failure_is_held_back_until_a_rank_is_found_gone(start: Start, errors: Path) -> None:
    zero = start(0, "HOLD_SECONDS=3600")
    port, token = zero.hear().split()
    gone, failing = hello(port, 1, token), hello(port, 2, token)
    failing.sendall(b'{"kind": "fail", "cause": "no answer", "code": 1}\n{"kind": "stop", "signal": "SIGTERM"}\n')
    assert [zero.hear(), zero.ask("wait")] == ["joined", "SIGTERM False"]  # so it has read the failure
    with failing:
        gone.close()
        assert messages(failing)[-1] == {"kind": "fail", "cause": "rank 1 is gone", "code": 1}
    assert zero.code() == 1
    assert errors.read_text() == "error: rank 1 is gone\n"


def test_a_rank_without_the_token_says_who_refused_it(start: Start, errors: Path) -> None:
    port, _ = start(0).hear().split()
    assert start(1, port, "wrong").code() == 2
    assert errors.read_text().startswith(f"error: rank 1 cannot join rank 0 at 127.0.0.1:{port} (no welcome)")


def test_a_hundred_and_thirty_ranks(start: Start, errors: Path) -> None:
    zero = start(0)
    port, token = zero.hear().split()
    ranks = [hello(port, rank, token) for rank in range(1, 130)]
    assert all(rank.recv(20) == b'{"kind": "welcome"}\n' for rank in ranks)
    ranks[0].sendall(b'{"kind": "stop", "signal": "SIGTERM"}\n')
    assert zero.hear() == "joined"
    assert zero.ask("wait") == "SIGTERM False"
    ranks.pop(76).close()
    stop = {"kind": "stop", "signal": "SIGTERM"}
    assert all(messages(rank) == [stop, {"kind": "fail", "cause": "rank 77 is gone", "code": 1}] for rank in ranks)
    assert zero.code() == 1
    assert errors.read_text() == "error: rank 77 is gone\n"
    for rank in ranks:
        rank.close()


def test_closing_gives_signals_back() -> None:
    numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    line = Lifeline(launched=False)
    line.install_handlers()
    line.install_handlers()
    assert signal.getsignal(signal.SIGTERM) != before[0]
    line.close()
    line.close()
    assert [signal.getsignal(number) for number in numbers] == before
    assert signal.set_wakeup_fd(-1) == -1
    assert (line.stop_requested, line.requeue, line.stop_signal) == (False, False, "")
