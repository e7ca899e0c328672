"""Callbacks that cannot be imported, or do not take their arguments, are refused in one line before a run."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from config_project import EXTENSION, make_project, write
from fresh_process import fresh_environment

from acereason.config.compose import compose
from acereason.curricula.user_callbacks import user_callbacks
from acereason.errors import UserError

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project of its own as the current folder, whose callbacks no other test has imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    kept = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "callbacks"}
    forget()
    yield make_project(tmp_path)
    forget()
    sys.modules.update(kept)


def forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "callbacks"]:
        del sys.modules[name]


def refusal(root: Path, *argv: str) -> str:
    with pytest.raises(UserError) as caught:
        user_callbacks(compose(argv, project=root))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["callbacks.x.class_path=callbacks.length_extention.LengthExtension"],
            "callbacks.x.class_path=callbacks.length_extention.LengthExtension: no module callbacks.length_extention; "
            "did you mean length_extension?",
        ),
        (
            ["callbacks.x.class_path=calbacks.length_extension.LengthExtension"],
            "callbacks.x.class_path=calbacks.length_extension.LengthExtension: no module calbacks; "
            "did you mean callbacks?",
        ),
        (
            ["callbacks.x.class_path=callbacks.length_extension.LengthExtention"],
            "callbacks.x.class_path=callbacks.length_extension.LengthExtention: no LengthExtention in "
            "callbacks/length_extension.py; did you mean LengthExtension?",
        ),
        (
            ["callbacks.x.class_path=callbacks.length_extension"],
            "callbacks.x.class_path=callbacks.length_extension: callbacks is a folder; "
            "write callbacks.FILE.length_extension; did you mean length_extension?",
        ),
        (
            ["callbacks.x.class_path=LengthExtension"],
            "callbacks.x.class_path=LengthExtension: expected module.Class, such as "
            "callbacks.length_extension.LengthExtension",
        ),
        (
            ["callbacks.x.init_args.k=2"],
            "callbacks.x.class_path=: expected module.Class, such as callbacks.length_extension.LengthExtension",
        ),
        (
            ["callbacks.x.class_path=callbacks.torn.Torn"],
            "callbacks.x.class_path=callbacks.torn.Torn: callbacks/torn.py line 2: expected ':'",
        ),
        (
            [EXTENSION, "callbacks.x.init_args.lengths=[8]", "callbacks.x.init_args.evry=2"],
            "callbacks.x.init_args.evry=2: callbacks.length_extension.LengthExtension has no such argument; "
            "did you mean every?",
        ),
        (
            [EXTENSION],
            "callbacks.x.init_args: callbacks.length_extension.LengthExtension needs lengths; "
            "set callbacks.x.init_args.lengths=…",
        ),
        (
            ["callbacks.x.class_path=callbacks.length_extension.Longer"],
            "callbacks.x.init_args: callbacks.length_extension.Longer needs lengths; "
            "set callbacks.x.init_args.lengths=…",
        ),
        (
            ["callbacks.x.class_path=callbacks.length_extension.Silent", "callbacks.x.init_args.k=2"],
            "callbacks.x.init_args.k=2: callbacks.length_extension.Silent has no such argument; valid: none",
        ),
        (
            ["callbacks.x.class_path=lightning.pytorch.callbacks.LearningRateMonitr"],
            "callbacks.x.class_path=lightning.pytorch.callbacks.LearningRateMonitr: no LearningRateMonitr in ",
        ),
        (
            [
                "callbacks.x.class_path=lightning.pytorch.callbacks.LearningRateMonitor",
                "callbacks.x.init_args.logging_interval=step",
            ],
            "",
        ),
        (
            [
                "callbacks.x.class_path=lightning.pytorch.callbacks.LearningRateMonitor",
                "callbacks.x.init_args.logging_intervl=1",
            ],
            "callbacks.x.init_args.logging_intervl=1: lightning.pytorch.callbacks.LearningRateMonitor has no such "
            "argument; did you mean logging_interval?",
        ),
        (["callbacks.x.class_path=callbacks.length_extension.Free", "callbacks.x.init_args.any=1"], ""),
        ([EXTENSION, "callbacks.x.init_args.lengths=[8]", "callbacks.x.init_args.every=2"], ""),
    ],
)
def test_a_callback_is_found_and_takes_its_arguments_or_one_line_says_what_is_wrong(
    root: Path, argv: list[str], message: str
) -> None:
    write(root, "callbacks/torn.py", "import os\nclass Torn\n")
    if message:
        assert refusal(root, *argv).startswith(message)
    else:
        assert len(user_callbacks(compose(argv, project=root))) == 1


def mine(root: Path, text: str, *arguments: str) -> list[str]:
    """Write a file with a callback; return the words that name it."""
    write(root, "callbacks/mine.py", f"from lightning.pytorch import Callback\n\n\n{text}")
    return ["callbacks.x.class_path=callbacks.mine.Mine", *(f"callbacks.x.init_args.{each}" for each in arguments)]


def test_what_its_constructor_raises_is_not_taken_for_a_wrong_argument(root: Path) -> None:
    adds = "class Mine(Callback):\n    def __init__(self, first):\n        self.second = first + 1\n"
    with pytest.raises(TypeError, match="can only concatenate str"):
        user_callbacks(compose(mine(root, adds, "first=one"), project=root))
    [callback] = user_callbacks(compose(mine(root, adds, "first=1"), project=root))
    assert vars(callback) == {"second": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "import nowhere\n",
            "callbacks.x.class_path=callbacks.mine.Mine cannot be imported: No module named 'nowhere'",
        ),
        (
            "from os import nothing\n",
            "callbacks.x.class_path=callbacks.mine.Mine cannot be imported: cannot import name",
        ),
        ("class Mine:\n    pass\n", "callbacks.x.class_path=callbacks.mine.Mine is not a Lightning Callback"),
        ("Mine = 7\n", "callbacks.x.class_path=callbacks.mine.Mine is not a Lightning Callback"),
        (
            "class Mine(Callback):\n    def __init__(self, a, /, b, c, d=1, *, e): ...\n",
            "callbacks.x.init_args: callbacks.mine.Mine needs b, c, e; set callbacks.x.init_args.b=…",
        ),
        (
            "class Mine(Callback):\n    def __init__(self, a, /): ...\n",
            "callbacks.x.init_args: callbacks.mine.Mine: missing a required argument: 'a'",
        ),
        (
            "class Mine(Callback):\n    def __init__(self, needed, **rest): ...\n",
            "callbacks.x.init_args: callbacks.mine.Mine needs needed; set callbacks.x.init_args.needed=…",
        ),
    ],
)
def test_what_cannot_be_a_callback_is_one_line(root: Path, text: str, message: str) -> None:
    assert refusal(root, *mine(root, text)).startswith(message)


def test_a_syntax_error_in_a_file_that_it_imports_names_that_file(root: Path) -> None:
    write(root, "callbacks/part.py", "x = (\n")
    said = refusal(root, *mine(root, "import callbacks.part\n"))
    assert said == "callbacks.x.class_path=callbacks.mine.Mine: callbacks/part.py line 1: '(' was never closed"


def test_no_constructor_runs_before_all_arguments_are_checked(root: Path) -> None:
    fails = mine(root, "class Mine(Callback):\n    def __init__(self):\n        raise RuntimeError\n")
    wrong = ["callbacks.y.class_path=callbacks.length_extension.LengthExtension"]
    assert refusal(root, *fails, *wrong).startswith("callbacks.y.init_args: ")


@pytest.mark.parametrize("kind", ["folder", "package", "file"])
def test_ours_are_there_beside_a_folder_of_the_users_whatever_it_is(root: Path, kind: str) -> None:
    if kind == "package":
        write(root, "callbacks/__init__.py", "")
    if kind == "file":
        (root / "callbacks").rename(root / "others")
        write(root, "callbacks.py", "")
    words = ["callbacks.stop.class_path=callbacks.stop_when_solved.StopWhenSolved"]
    if kind != "file":
        words += [EXTENSION, "callbacks.x.init_args.lengths=[8]"]
    found = [type(callback) for callback in user_callbacks(compose(words, project=root))]
    files = [sys.modules[cls.__module__].__file__ for cls in found]
    assert (
        files
        == [str(ROOT / "callbacks/stop_when_solved.py"), str(root / "callbacks/length_extension.py")][: len(files)]
    )


def test_the_users_file_comes_first_though_the_repository_is_on_the_path_before(root: Path) -> None:
    sys.path[:] = [str(ROOT), *sys.path, str(root)]
    [callback] = user_callbacks(compose([EXTENSION, "callbacks.x.init_args.lengths=[8]"], project=root))
    assert sys.modules[type(callback).__module__].__file__ == str(root / "callbacks/length_extension.py")


def test_without_callbacks_nothing_is_imported_and_a_wrong_path_is_refused_without_torch(root: Path) -> None:
    program = """
import sys
from acereason.config.compose import compose
from acereason.curricula.user_callbacks import user_callbacks
from acereason.errors import UserError
assert user_callbacks(compose([])) == []
for path in ("Mine", "callbacks.nothing.Mine", "nothing.Mine", "callbacks.nothing"):
    try:
        user_callbacks(compose([f"callbacks.x.class_path={path}"]))
    except UserError as error:
        print(error)
print({"torch", "lightning", "callbacks.length_extension"} & sys.modules.keys())
"""
    env = fresh_environment(PYTHONPATH=str(ROOT / "src"))
    done = subprocess.run([sys.executable, "-c", program], cwd=root, env=env, capture_output=True, text=True)
    *refused, loaded = done.stdout.splitlines()
    assert len(refused) == 4 and loaded == "set()", done.stderr
