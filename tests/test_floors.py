"""The floors hold, and what holds them would notice: an import that runs up, or in a circle, fails the linter."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": f"{root / 'src'}:{root}"}
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    return subprocess.run(
        [*command, "--no-cache", "--no-logo"], cwd=root, env=environment, capture_output=True, text=True, timeout=280
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the source tree with its contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in ("src", "callbacks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return tmp_path


def test_no_import_runs_up_or_in_a_circle() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout
    assert "Contracts: 2 kept, 0 broken." in done.stdout


@pytest.mark.parametrize(
    ("file", "line", "said"),
    [
        (
            "sandbox/zone.py",
            "from acereason.verifiers import verifier",
            "acereason.sandbox.zone -> acereason.verifiers",
        ),
        ("engines/engine.py", "from acereason.engines import shared", "No cycles are allowed in acereason.engines."),
    ],
    ids=["up", "circle"],
)
def test_a_deliberate_import_that_runs_up_or_in_a_circle_fails(tree: Path, file: str, line: str, said: str) -> None:
    path = tree / "src" / "acereason" / file
    path.write_text(path.read_text() + f"\n{line}\n")
    done = lint_imports(tree)
    assert done.returncode == 1
    assert said in done.stdout


def test_every_room_stands_on_a_floor() -> None:
    contracts = (ROOT / "pyproject.toml").read_text()
    rooms = {path.stem for path in (ROOT / "src" / "acereason").iterdir() if path.suffix == ".py" or path.is_dir()}
    rooms -= {"__init__", "__pycache__"}
    assert [room for room in sorted(rooms) if f"acereason.{room}" not in contracts] == []
