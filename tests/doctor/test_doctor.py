"""`acereason doctor`: what fails is named with a fix, whatever else works."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from acereason.doctor.checks import CHECKS, NAMES
from acereason.doctor.diagnosis import diagnose, run_apart
from acereason.doctor.sleeping import growth

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="says what a machine without a GPU says")


def doctor(*words: str, before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a shell, after another one."""
    line = f'{before} exec "$0" -m acereason.cli doctor "$@"'
    return subprocess.run(
        ["bash", "-c", line, sys.executable, *words],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")} | environment,
        capture_output=True,
        text=True,
    )


def test_low_limits_and_folders_that_cannot_be_written_to_fail_with_a_fix(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    runs, output = tmp_path / "file" / "runs", tmp_path / "found.json"
    done = doctor("only=[files,disk]", f"runs={runs}", f"output={output}", before="ulimit -n 256;")
    assert (done.returncode, done.stderr) == (1, "")
    assert "FAILED   files: open files: 256" in done.stdout and "ulimit -n" in done.stdout
    assert "FAILED   disk: run folder: Not a directory" in done.stdout
    assert done.stdout.endswith("2 of 2 checks failed: files, disk\n")
    assert max(map(len, done.stdout.splitlines())) <= 100
    written = {check["name"]: check for check in json.loads(output.read_text())["checks"]}
    assert tuple(written) == NAMES
    assert [finding["subject"] for finding in written["disk"]["findings"] if finding["fix"]] == ["run folder"]
    assert written["sandbox"]["left_out"] == "not asked for"


def test_without_vllm_the_checks_that_need_it_fail_and_the_others_run(tmp_path: Path) -> None:
    (tmp_path / "vllm").mkdir()
    (tmp_path / "vllm" / "__init__.py").write_text("raise ImportError('built for another torch')\n")
    done = doctor("only=[vllm,mask,float32]", PYTHONPATH=f"{tmp_path}:{ROOT / 'src'}")
    assert (done.returncode, done.stderr) == (1, "")
    assert "FAILED   vllm: vLLM: ImportError: built for another torch" in done.stdout
    assert "FAILED   float32: not tried: vllm has failed" in done.stdout
    assert "OK       mask: blocks" in done.stdout
    assert done.stdout.endswith("2 of 3 checks failed: vllm, float32\n")


def test_a_skipped_check_takes_along_those_that_need_it(tmp_path: Path) -> None:
    results = {result.check: result for result in diagnose(tmp_path, skip=["vllm", "torch"], quick=True)}
    assert results["float32"].left_out == "it needs vllm, which skip names"
    assert results["mask"].left_out == "it needs torch, which skip names"
    assert results["gpu"].left_out == "there is no GPU"
    assert results["sandbox"].findings


def test_what_takes_too_long_is_a_failed_check(tmp_path: Path) -> None:
    [found] = run_apart("attention", tmp_path, minutes=1e-4)
    assert found.seen.startswith("it took more than 0.0001 minutes") and found.fix


def test_attention_ports_and_the_micro_batch_pass_here(tmp_path: Path) -> None:
    results = list(diagnose(tmp_path, only=["attention", "ports", "micro_batch"]))
    assert [found for result in results for found in result.findings if found.fix] == []
    assert {result.check: len(result.findings) for result in results if result.findings} == {
        "ports": 1,
        "attention": 4,
        "micro_batch": 3,
    }


def test_memory_that_settles_has_not_grown() -> None:
    assert growth([10, 50, 60, 60, 61]) == 1
    assert growth([10, 20, 30, 40, 50]) == 20


def test_every_check_is_a_function() -> None:
    for check in CHECKS:
        module, name = check.function.split(".")
        assert f"def {name}(context: Context" in (ROOT / f"src/acereason/doctor/{module}.py").read_text()
