"""One connection between two ranks. Messages are JSON, one a line: hello, welcome, stop, fail, heard, bye."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

from acereason.errors import UserError

CONNECT_SECONDS = 60.0
LINE_BYTES = 32768


class Peer:
    """A connection to another rank, with its buffers; none of its methods waits.

    Attributes:
        rank: the rank at the other end; -1 until it has said a valid hello.
        since: when the connection was made, in seconds of the monotonic clock.
        left: whether the other rank has announced that it leaves.
        dropped: whether the connection is closed or broken.
    """

    def __init__(self, connection: socket.socket, rank: int = -1) -> None:
        self.socket, self.rank = connection, rank
        self.inbox, self.outbox = bytearray(), bytearray()
        self.since = time.monotonic()
        self.left = False
        self.dropped = False
        _keep_alive(connection)
        connection.setblocking(False)

    def send(self, kind: str, **content: Any) -> None:
        """Queue a message and send as much as the kernel accepts."""
        self.outbox += json.dumps({"kind": kind, **content}).encode() + b"\n"
        self.flush()

    def flush(self) -> None:
        """Send as much as the kernel accepts. A closed connection is noticed by `receive`, after its last messages."""
        try:
            while self.outbox:
                del self.outbox[: self.socket.send(self.outbox)]
        except BlockingIOError:
            pass
        except OSError:
            self.outbox.clear()

    def receive(self) -> list[dict[str, Any]]:
        """Return the complete messages received; set `dropped` if no more will come.

        Raises:
            ValueError: the bytes received are not a message.
        """
        try:
            data = self.socket.recv(4096)
            self.dropped = not data
            self.inbox += data
        except BlockingIOError:
            pass
        except OSError:
            self.dropped = True
        *lines, rest = bytes(self.inbox).split(b"\n")
        self.inbox[:] = rest
        if len(rest) > LINE_BYTES:
            raise ValueError("a line without end")
        return [_message(line) for line in lines]


def join_rank_0(host: str, port: int, token: str, rank: int) -> Peer:
    """Connect to rank 0, say hello as `rank` and wait for the welcome.

    Raises:
        UserError: rank 0 cannot be reached, or does not accept the token.
    """
    try:
        connection = socket.create_connection((host, port), timeout=CONNECT_SECONDS)
        hello = {"kind": "hello", "rank": rank, "token": token}
        connection.sendall(json.dumps(hello).encode() + b"\n")
        with connection.makefile("rb", buffering=0) as replies:  # no buffer: the bytes after the welcome are for `Peer`
            if replies.readline(LINE_BYTES) != b'{"kind": "welcome"}\n':
                raise ConnectionError("no welcome")
    except OSError as error:
        raise UserError(
            f"rank {rank} cannot join rank 0 at {host}:{port} ({error}): "
            "is rank 0 gone, or a TCP port closed between the nodes?"
        ) from error
    return Peer(connection, rank=0)


def listening_socket() -> socket.socket:
    """Return a listening socket on every interface, for IPv4 and, where the system has it, IPv6."""
    try:
        server = socket.create_server(("", 0), family=socket.AF_INET6, backlog=1024, dualstack_ipv6=True)
    except (OSError, ValueError):
        server = socket.create_server(("", 0), backlog=1024)
    server.setblocking(False)
    return server


def _message(line: bytes) -> dict[str, Any]:
    """Parse a message; raise ValueError if the line is not one."""
    try:
        message = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
        raise ValueError("not a message")
    return message


def _keep_alive(connection: socket.socket) -> None:
    """Make the kernel notice within half a minute that the other machine is gone."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    values = {"TCP_NODELAY": 1, "TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 30000}
    for name, value in values.items():
        if hasattr(socket, name):  # Linux has them all
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
