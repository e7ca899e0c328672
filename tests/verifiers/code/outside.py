"""What lies outside of a sandbox, put there to be reached: files, sockets and a process; and what came to it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from acereason.sandbox import program

SECRET = "the text of a file that no program may read"
SHARED_KEY = 0xACE0
"""Of System V shared memory, semaphores and queues that programs try to make."""
_FOLDERS = ("/", "/tmp", "/var/tmp", "/dev/shm", "/etc", "/usr", "~", os.path.dirname(os.__file__))


class Outside:
    """Use it as a context manager.

    Attributes:
        names: lines of Python that tell a program where everything is: FILE, FOLDER, PORT, SOCKET, ABSTRACT, BYSTANDER,
            JUDGE, its CHANNEL to the judge, and TOKEN, which is part of the name of whatever it tries to make.
    """

    def __init__(self) -> None:
        token = f"acereason_hostile_{secrets.token_hex(8)}"
        self._token, self._folder = token, Path(tempfile.mkdtemp(prefix="outside-"))
        self._folder.chmod(0o777)
        self._file = self._folder / "file.txt"
        self._file.write_text(SECRET)
        self._file.chmod(0o666)
        self._bystander = subprocess.Popen(["sleep", "3600"])
        path, abstract = f"{self._folder}/socket", f"\0{token}"
        self._servers = [socket.create_server(("127.0.0.1", 0)), *(_listening(address) for address in (path, abstract))]
        os.chmod(path, 0o777)
        port = self._servers[0].getsockname()[1]
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.bind(("127.0.0.1", port))
        for server in (*self._servers, self._datagrams):
            server.setblocking(False)
        self.names = (
            f"FILE, FOLDER, PORT, SOCKET = {str(self._file)!r}, {str(self._folder)!r}, {port}, {path!r}\n"
            f"ABSTRACT, BYSTANDER, JUDGE, TOKEN = {abstract!r}, {self._bystander.pid}, {os.getpid()}, {token!r}\n"
            f"SHARED_KEY, CHANNEL = {SHARED_KEY}, {program.CHANNEL}\n"
        )
        self._before = self._state()

    def __enter__(self) -> Outside:
        return self

    def __exit__(self, *_: object) -> None:
        for server in (*self._servers, self._datagrams):
            server.close()
        self._bystander.kill()
        self._bystander.wait()
        shutil.rmtree(self._folder)

    def changes(self) -> list[str]:
        """What is not as it was at the first time, or the last time that this was asked; empty if all is well."""
        before, self._before = self._before, self._state()
        changed = [f"{name}: {value}" for name, value in self._before.items() if value != before[name]]
        return [*changed, *self._visits(), *self._made()]

    def _state(self) -> dict[str, object]:
        paths = (self._folder, self._file, "/dev/null", os.__file__, "/etc/passwd", "/proc/self/exe")
        fields = ("st_mode", "st_uid", "st_gid", "st_nlink", "st_ctime_ns")
        stats = {str(path): [getattr(os.stat(path), field) for field in fields] for path in paths}
        return stats | {
            "text": self._file.read_text(),
            "folder": sorted(os.listdir(self._folder)),
            "host": os.uname().nodename,
            "bystander is well": Path(f"/proc/{self._bystander.pid}/stat").read_text().rpartition(")")[2].split()[0]
            not in "TtZX",  # stopped, traced, ended
            "nice": os.getpriority(os.PRIO_PROCESS, self._bystander.pid),
        }

    def _visits(self) -> list[str]:
        visits = []
        for server in self._servers:
            try:
                server.accept()
                visits.append(f"connection to {server.getsockname()}")
            except BlockingIOError:
                continue
        with contextlib.suppress(BlockingIOError):
            visits.append(f"datagram {self._datagrams.recv(100)!r}")
        return visits

    def _made(self) -> list[str]:
        folders = [os.path.expanduser(folder) for folder in _FOLDERS]
        readable = [folder for folder in folders if os.access(folder, os.R_OK)]
        made = [f"{folder}/{name}" for folder in readable for name in os.listdir(folder) if self._token in name]
        for kind in ("shm", "sem", "msg"):
            table = Path(f"/proc/sysvipc/{kind}")
            lines = table.read_text().splitlines()[1:] if table.exists() else []
            made += [f"{kind} {line}" for line in lines if line.split()[0] == str(SHARED_KEY)]
        return made


def _listening(address: str) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.bind(address)
    server.listen()
    return server
