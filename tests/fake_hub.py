"""A hub of local files: an HTTP server that speaks as much of the Hugging Face hub's protocol as downloads need."""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "c" * 40


class FakeHub(ThreadingHTTPServer):
    """Serves `root/models/OWNER/NAME` and `root/datasets/OWNER/NAME`.

    Attributes:
        requests: how often each method and path was asked for.
        url: for HF_ENDPOINT.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.root = root
        self.requests: Counter[str] = Counter()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def downloads(self) -> dict[str, int]:
        """How often each file was sent."""
        return {
            path.rpartition("/")[2]: count
            for path, count in self.requests.items()
            if path.startswith("GET ") and "/resolve/" in path
        }


class Answer(BaseHTTPRequestHandler):
    server: FakeHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def answer(self, asked: dict | None = None) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.requests[f"{self.command} {path}"] += 1
        parts = path.strip("/").split("/")
        is_api = parts[0] == "api"
        parts = parts[1:] if is_api else parts
        kind, parts = (parts[0], parts[1:]) if parts[0] in ("models", "datasets") else ("models", parts)
        folder = self.server.root / kind / "/".join(parts[:2])
        if not folder.is_dir():
            return self.send(404, b"", {"X-Error-Code": "RepoNotFound"})
        if is_api:
            return self.send(200, json.dumps(self.describe(folder, parts[2:], asked)).encode())
        assert parts[2] == "resolve"
        file = folder / "/".join(parts[4:])
        if not file.is_file():
            return self.send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        content = file.read_bytes()
        self.send(200, content, {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT})

    def describe(self, folder: Path, parts: list[str], asked: dict | None) -> object:
        """Information on the whole repository, on a folder of it, or on files that are asked for."""
        files = {str(file.relative_to(folder)): file for file in sorted(folder.rglob("*")) if file.is_file()}
        entries = [
            {"type": "file", "path": name, "size": file.stat().st_size, "oid": hashlib.sha1(name.encode()).hexdigest()}
            for name, file in files.items()
        ]
        folders = [
            {"type": "directory", "path": str(inner.relative_to(folder)), "oid": "f" * 40}
            for inner in folder.rglob("*")
            if inner.is_dir()
        ]
        if "paths-info" in parts:
            assert asked is not None
            return [entry for entry in entries + folders if entry["path"] in asked["paths"]]
        if "tree" in parts:
            under = "/".join(parts[2:])
            return [entry for entry in entries + folders if str(Path(entry["path"]).parent) == (under or ".")]
        name = "/".join(folder.parts[-2:])
        return {"id": name, "sha": COMMIT, "siblings": [{"rfilename": file} for file in files], "private": False}

    def send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def fake_hub(root: Path) -> Iterator[FakeHub]:
    """Serve the models and data sets in `root` until the end of the block."""
    with FakeHub(root) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        yield hub
        hub.shutdown()
