"""The connections of one rank to the others: accepting them, sending messages, noticing who is gone."""

from __future__ import annotations

import hmac
import secrets
import selectors
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from acereason.distributed.connection import Peer, listening_socket

HELLO_SECONDS = 10.0
SEND_SECONDS = 5.0
STRANGERS = 256  # connections that have not said hello


class Peers:
    """The ranks that this rank is connected to, and strangers that have not said hello. Used by one thread only.

    Args:
        selector: waits for the sockets; the data of a key is to be called when the key is ready.
        on_joined: called with a rank that has just connected.
        on_message: called with a rank and its message; a ValueError or KeyError drops the rank.
        on_gone: called with a rank whose connection ended without a goodbye.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        on_joined: Callable[[Peer], object],
        on_message: Callable[[Peer, dict[str, Any]], object],
        on_gone: Callable[[Peer], object],
    ) -> None:
        self._selector = selector
        self._on_joined, self._on_message, self._on_gone = on_joined, on_message, on_gone
        self._token = ""
        self._server: socket.socket | None = None
        self._peers: list[Peer] = []  # strangers too

    def __len__(self) -> int:
        return len(self._peers)

    def ranks(self) -> list[Peer]:
        """Return the connections of known ranks, without strangers."""
        return [peer for peer in self._peers if peer.rank >= 0]

    def open_port(self) -> tuple[int, str]:
        """Open a port; return it and the token that others must send. Any thread may call this, before `listen`."""
        self._token, self._server = secrets.token_hex(16), listening_socket()
        return int(self._server.getsockname()[1]), self._token

    def listen(self) -> None:
        """Accept connections from now on."""
        assert self._server
        self._selector.register(self._server, selectors.EVENT_READ, self._on_stranger)

    def add(self, peer: Peer) -> None:
        """Add a connection that has been made."""
        self._peers.append(peer)
        self._selector.register(peer.socket, selectors.EVENT_READ, partial(self._on_ready, peer))
        if peer.rank >= 0:
            self._on_joined(peer)

    def tell(self, peer: Peer, kind: str, **content: Any) -> None:
        """Send a message, now or as soon as the kernel accepts it."""
        peer.send(kind, **content)
        self._wait_for(peer)

    def tell_all(self, kind: str, **content: Any) -> None:
        """Send a message to all ranks."""
        for peer in self.ranks():
            self.tell(peer, kind, **content)

    def flush(self) -> None:
        """Send everything queued, before this process or its connections end."""
        until = time.monotonic() + SEND_SECONDS
        while time.monotonic() < until and any(peer.outbox for peer in self._peers):
            for peer in self._peers:
                peer.flush()
            time.sleep(0.01)

    def drop_silent_strangers(self) -> None:
        """Close the connections that have not said hello in time."""
        now = time.monotonic()
        for peer in [peer for peer in self._peers if peer.rank < 0 and now > peer.since + HELLO_SECONDS]:
            self._forget(peer)

    def close(self) -> None:
        """Close all connections; the selector is of no use afterwards."""
        for connection in [self._server, *(peer.socket for peer in self._peers)]:
            if connection:
                connection.close()

    def _forget(self, peer: Peer) -> None:
        self._peers.remove(peer)
        self._selector.unregister(peer.socket)
        peer.socket.close()

    def _wait_for(self, peer: Peer) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.outbox else 0)
        self._selector.modify(peer.socket, events, partial(self._on_ready, peer))

    def _on_stranger(self) -> None:
        assert self._server
        strangers = [peer for peer in self._peers if peer.rank < 0]
        if len(strangers) >= STRANGERS:
            self._forget(strangers[0])
        try:
            connection, _ = self._server.accept()
        except OSError:  # the stranger has left, or there are no free descriptors and trying at once would not help
            time.sleep(0.01)
            return
        self.add(Peer(connection))

    def _on_ready(self, peer: Peer) -> None:
        if peer not in self._peers:
            return
        peer.flush()
        try:
            for message in peer.receive():
                (self._on_message if peer.rank >= 0 else self._welcome)(peer, message)
        except (ValueError, KeyError):
            peer.dropped = True
        if not peer.dropped:
            self._wait_for(peer)
            return
        self._forget(peer)
        if peer.rank >= 0 and not peer.left:
            self._on_gone(peer)

    def _welcome(self, peer: Peer, hello: dict[str, Any]) -> None:
        """Accept a stranger as the rank that it names if it sends the token; else raise ValueError, which drops it."""
        rank, token = hello["rank"], str(hello["token"]).encode(errors="replace")
        if hello["kind"] != "hello" or not hmac.compare_digest(token, self._token.encode()):
            raise ValueError("not one of ours")
        if type(rank) is not int or rank < 1 or any(other.rank == rank for other in self._peers):
            raise ValueError("no such rank, or it is connected already")
        peer.rank = rank
        peer.send("welcome")
        self._on_joined(peer)
