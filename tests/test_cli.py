"""The `acereason` command: what it does with a run, and one line when it cannot."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny_runs import Fitted
from transformers import AutoModelForCausalLM

import acereason
from acereason.cli import COMMANDS, command_help, main, usage
from acereason.config.fields import settings
from acereason.config.help import docstrings

PATH = {"PYTHONPATH": str(Path(acereason.__file__).parent.parent), "TERM": "xterm", "COLUMNS": "80"}


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["acereason", *map(str, words)])
    return main()


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_usage(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, *words) == 0
    assert capsys.readouterr().out == usage()
    for name in ("export", "report", "verify", "sandbox"):
        assert f"\n  acereason {name} " in usage()
    assert set(COMMANDS) >= {"export", "report", "verify", "sandbox"}
    assert max(map(len, usage().splitlines())) <= 120


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_lists_its_settings(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, name, "--help") == 0
    printed = capsys.readouterr().out
    assert printed == command_help(name) + "\n"
    declared = settings(COMMANDS[name].settings).values()
    for setting in declared:
        assert re.search(rf"^  {re.escape(setting.key)}( = .*)?   \S", printed, re.MULTILINE)
        assert " ".join(docstrings(setting.owner)[setting.name].split()) in " ".join(printed.split())
    assert max(map(len, printed.splitlines())) <= 120


def test_the_help_of_verify_shows_defaults_bounds_and_what_must_be_given() -> None:
    text = command_help("verify")
    assert text.startswith("usage: acereason verify input=… output=… [key=value ...]\n\nJudge the answers or programs")
    assert "\n  input   text, must be given\n" in text
    assert "\n  rewards.memory_mib = 2048   int from 512\n" in text
    assert "\n  sandbox.failing_first = false   true|false\n" in text  # training has true


CODE = ["verify", "domain=code", "input={run}/config.yaml", "output=x"]
BAD = [
    (["exprt", "run=x"], ["exprt", "export, report"]),
    (["export"], ["run=", "missing"]),
    (["export", "run=nowhere"], ["run=nowhere", "config.yaml"]),
    (["report", "run=src"], ["run=src", "config.yaml"]),
    (["report", "nowhere"], ["nowhere", "run="]),
    (["report", "run=src", "ckpt=last"], ["ckpt=last: no such setting; valid: run"]),
    (["export", "run=src", "folder=x"], ["folder=x: no such setting; valid: run, ckpt, output, dtype"]),
    (["export", "run={run}", "ckpt=step-7"], ["ckpt=step-7", "no such folder"]),
    (["export", "run={run}", "ckpt="], ["ckpt=: must be text, and not empty"]),
    (["verify", "output=x"], ["input=", "missing"]),
    (["verify", "input={run}/config.yaml"], ["output=", "missing"]),
    (["verify", "input=nowhere", "output=x"], ["input=nowhere", "no such file"]),
    (["verify", "input={run}", "output=x"], ["input=", "is a folder"]),
    (["verify", "input={run}/config.yaml", "output={run}/config.yaml"], ["output=", "overwrite"]),
    (["verify", "input={run}/config.yaml", "output=nowhere/x"], ["output=nowhere/x", "no folder nowhere"]),
    (["verify", "domain=maths", "input=x", "output=y"], ["domain=maths", "math, code"]),
    (["verify", "domain=code", "input=nowhere", "output=x"], ["input=nowhere", "no such file"]),
    ([*CODE, "sandbox.without=[namespaces,landlock,seccomp]"], ["code rewards need file-system, network, process"]),
    ([*CODE, "sandbox.without=[selinux]"], ["sandbox.without", "no selinux", "landlock"]),
    ([*CODE, "sandbox.memory_mib=5"], ["sandbox.memory_mib=5", "64"]),
    ([*CODE, "sandbox.memory_mib=much"], ["sandbox.memory_mib=much", "much"]),
    ([*CODE, "sandbox.memory=5"], ["sandbox.memory=5", "memory"]),
    (["sandbox", "sandbox.memory=5"], ["sandbox.memory=5", "did you mean sandbox.memory_mib?"]),
    (["sandbox", "domain=code"], ["domain=code: no such setting"]),
    (["verify", "input={run}/config.yaml", "output=x", "rewards.workers=0"], ["error: rewards.workers=0", "from 1"]),
    (["verify", "input={run}/config.yaml", "output=x", "rewards.workers=two"], ["rewards.workers=two", "number"]),
    (["verify", "input={run}/config.yaml", "output=x", "rewards.memory_mib=9"], ["error: rewards.memory_mib=9", "512"]),
    (["verify", "input=x", "output=x", "rewards.timeout_seconds=0"], ["error: rewards.timeout_seconds=0", "above 0"]),
    (["verify", "input=x", "output=x", "rewards.shuffle=true"], ["rewards.shuffle=true: no such setting"]),
    (["verify", "input=x", "output=x", "workers=2"], ["workers=2: no such setting; did you mean rewards.workers?"]),
    (["verify", "input=x", "output=x", "memory_mib=2"], ["memory_mib=2", "did you mean rewards.memory_mib?"]),
    (["verify", "input=x", "output=x", "timeout_seconds=2"], ["timeout_seconds=2", "did you mean rewards.timeout"]),
]


@pytest.mark.parametrize(("words", "said"), BAD, ids=lambda value: " ".join(value))
def test_what_cannot_work_is_one_line_and_exit_code_2(
    words: list[str],
    said: list[str],
    finished_run: Fitted,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, *(word.format(run=finished_run.folder) for word in words)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    [line] = printed.err.splitlines()
    assert line.startswith("error: ")
    assert all(part in line for part in said), line


def test_export_writes_the_newest_checkpoint(
    finished_run: Fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "export", f"run={finished_run.folder}", f"output={tmp_path}/policy") == 0
    assert "step-000004" in capsys.readouterr().out
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "policy", dtype=torch.float32)
    expected = finished_run.weights()
    assert all(torch.equal(parameter, expected[name]) for name, parameter in model.named_parameters())


def test_export_takes_any_checkpoint_and_names_the_folder_after_it(
    finished_run: Fitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = finished_run.folder / "checkpoints" / "step-000002"
    assert run(monkeypatch, "export", f"run={finished_run.folder}", f"ckpt={earlier}") == 0
    assert (finished_run.folder / "export-step-000002" / "model.safetensors").exists()


def test_report_draws_the_curves_again(
    finished_run: Fitted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = finished_run.folder / "figures" / "curves.png"
    figure.unlink(missing_ok=True)
    assert run(monkeypatch, "report", f"run={finished_run.folder}") == 0
    assert capsys.readouterr().out.strip() == str(figure)
    assert Image.open(figure).size[0] > 800


RIGHT, WRONG = '{"gold": "5", "pred": "5"}\n', '{"gold": "5", "response": "</think> \\\\boxed{6}"}\n'


@pytest.mark.parametrize(("lines", "status"), [(RIGHT + WRONG, 0), (RIGHT + "broken\n" + WRONG, 1)])
def test_verify_judges_a_file_and_tells_by_its_exit_code_whether_all_was_read(
    lines: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(lines)
    assert (
        run(monkeypatch, "verify", "domain=math", f"input={source}", f"output={output}", "rewards.workers=1") == status
    )
    printed = capsys.readouterr()
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["reward"] for row in rows] == ([1.0, 0.0] if status == 0 else [1.0, 0.0, 0.0])
    table = dict(re.split(r"  +", line) for line in printed.out.strip().splitlines())
    assert (table["rows"], table["broken lines"], table["mean reward"]) == (f"{2 + status}", f"{status}", "0.5000")
    assert len(printed.err.splitlines()) == status


def test_verify_shows_a_bar_on_a_terminal_alone(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(10 * RIGHT)
    command = [
        sys.executable,
        "-m",
        "acereason.cli",
        "verify",
        "input=in.jsonl",
        "output=out.jsonl",
        "rewards.workers=1",
    ]
    terminal, end = pty.openpty()
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=end, env=os.environ | PATH) as shown:
        os.close(end)
        assert shown.stdout
        assert b"\x1b" not in shown.stdout.read()
    assert shown.returncode == 0
    assert re.search(rb"10 rows .*100%", os.read(terminal, 1 << 16))
    os.close(terminal)
    quiet = subprocess.run(command, cwd=tmp_path, capture_output=True, env=os.environ | PATH)
    assert (quiet.returncode, quiet.stderr) == (0, b"")


PROGRAMS = [
    {"id": "sum", "code": "print(sum(map(int, input().split())))", "kind": "stdin"},
    {"id": "wrong", "response": "So </think>\n```python\nprint(7)\n```\n", "kind": "stdin"},
    {"id": "none", "response": "So </think> I think", "kind": "stdin"},
    {"id": "raises", "code": "print(int(input()))", "kind": "stdin"},
    {"id": "call", "code": "class Solution:\n    def add(self, xs, k): return sum(xs) + k", "kind": "call"},
    {"id": "check", "code": "def add(xs, k): return sum(xs)", "kind": "check"},
    {"id": "slow", "code": "import time; time.sleep(60)", "kind": "stdin", "time_limit_s": 0.5},
    {"id": "kind", "code": "print(7)", "kind": "other"},
    {"id": "empty", "code": "", "kind": "stdin"},
]
TESTS = {
    "stdin": {"tests": {"inputs": ["3 4\n", "1 1\n"], "outputs": ["7\n", "2\n"], "fn_name": None}},
    "call": {"tests": {"inputs": ["[1,2]\n5", "[]\n0"], "outputs": ["8", "0"], "fn_name": "add"}},
    "check": {"test_list": ["assert add([3], 0) == 3", "assert add([1, 2], 5) == 8"]},
    "other": {"tests": {"inputs": [""], "outputs": [""]}},
}
VERDICTS = {
    "sum": (1.0, "passed", None),
    "wrong": (0.0, "wrong_answer", 1),
    "none": (0.0, "no_code", None),
    "raises": (0.0, "runtime_error", 0),
    "call": (1.0, "passed", None),
    "check": (0.0, "wrong_answer", 1),
    "slow": (0.0, "timeout", 0),
    "kind": (0.0, "broken_line", None),
    "empty": (0.0, "empty", None),
}


@pytest.mark.parametrize("words", [[], ["sandbox.without=[user_namespace]"], ["sandbox.without=[namespaces]"]])
def test_verify_judges_a_file_of_programs(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rows = [row | TESTS[str(row["kind"])] for row in PROGRAMS]
    source.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    status = run(monkeypatch, "verify", "domain=code", f"input={source}", f"output={output}", *words)
    printed = capsys.readouterr()
    if status == 2:
        pytest.skip(printed.err)
    assert status == 1
    judged = [json.loads(line) for line in output.read_text().splitlines()]
    assert {row["id"]: (row["reward"], row["reason"], row["first_failing_test"]) for row in judged} == VERDICTS
    assert [{name: row[name] for name in given} for row, given in zip(judged, rows, strict=True)] == rows
    assert [row["extracted"] for row in judged[:4]] == [rows[0]["code"], "print(7)", "", rows[3]["code"]]
    assert [row["seconds"] > 0 for row in judged] == [row["reason"] not in UNJUDGED for row in judged]
    table = dict(re.split(r"  +", line.strip()) for line in printed.out.strip().splitlines())
    assert (table["rows"], table["passed"], table["failed"], table["no program"]) == ("9", "2", "4", "2")
    assert (table["broken lines"], table["mean reward"]) == ("1", "0.2500")
    assert printed.err == f"{source}, line 8: kind must be one of stdin, call, check, assert, functional\n"


UNJUDGED = {"no_code", "broken_line", "empty"}


def test_sandbox_tells_what_holds_and_whether_code_rewards_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run(monkeypatch, "sandbox")
    said = capsys.readouterr().out
    assert re.search(r"^seccomp +(holds|the kernel does not have it) *$", said, re.MULTILINE)
    last = said.splitlines()[-1]
    assert last.startswith("code rewards start, with " if status == 0 else "code rewards do not start: ")
    assert run(monkeypatch, "sandbox", "sandbox.without=[namespaces,landlock,seccomp]") == 1
    assert "code rewards do not start: code rewards need file-system" in capsys.readouterr().out
