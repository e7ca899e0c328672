"""Small problem files and what the loader says of them."""

import json
import os
import subprocess
import sys

import pytest

from acereason.config.schema import ProblemsConfig
from acereason.errors import UserError
from acereason.problems.loaders import load_problems


def jsonl(folder, *rows, name="data.jsonl"):
    """A file with a row a line; text is written as it is."""
    path = folder / name
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_bytes("".join(line + "\n" for line in lines).encode())
    return path


def numbered(count):
    """Rows whose questions and answers are all different."""
    return [{"question": f"question {n}", "answer": n} for n in range(count)]


def load(path, **settings):
    """All problems of a source, none held out."""
    train, held_out = load_problems(ProblemsConfig(path=str(path), **{"held_out": 0, **settings}))
    assert held_out == []
    return train


def load_one(folder, row, **settings):
    """The problem of a file with one row."""
    [problem] = load(jsonl(folder, row), **settings)
    return problem


def refusal(path, **settings):
    """The one line that refuses a source."""
    with pytest.raises(UserError) as caught:
        load(path, **settings)
    message = str(caught.value)
    assert "\n" not in message
    return message


def run_offline(folder, code):
    """What `code` prints in a fresh process that has no hub."""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hub_home")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
