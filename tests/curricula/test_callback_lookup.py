"""Callbacks that cannot be imported, or do not take their arguments, are found without importing them."""

from pathlib import Path

import pytest
from config_project import EXTENSION, make_project, refusal, write

from acereason.config.compose import compose
from acereason.planning.checks import check


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own as the current folder."""
    monkeypatch.chdir(tmp_path)
    return make_project(tmp_path)


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
def test_callbacks_are_looked_up_without_importing_them(root: Path, argv: list[str], message: str) -> None:
    write(root, "callbacks/torn.py", "import os\nclass Torn\n")
    if message:
        assert refusal(root, *argv).startswith(message)
    else:
        check(compose(argv, project=root))
