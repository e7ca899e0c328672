"""A callback of the user's own, in their own folder: named on the command line it runs, is on record and resumes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fresh_process import fresh_environment

ROOT = Path(__file__).resolve().parent.parent
MINE = """\
from lightning.pytorch import Callback


class Mine(Callback):
    \"\"\"Cools down after every `every` steps; the count is its own.\"\"\"

    def __init__(self, every: int) -> None:
        self.every, self.seen = every, 0

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        self.seen += 1
        if self.seen == self.every:
            self.seen = 0
            cooler = round(module.curriculum.temperature - 0.1, 3)
            module.curriculum.change("mine", f"{self.every} steps", temperature=cooler)

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state_dict) -> None:
        self.seen = state_dict["seen"]


class Local(Callback):
    \"\"\"Takes the temperature from this rank's own rollouts.\"\"\"

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        mine = sum(sum(rollout.generation.logprobs) for rollout in batch.rollouts)
        module.curriculum.change("local", "no good reason", temperature=0.5 + mine % 0.4)
"""
RECIPE = f"""\
include: recipe/laptop_math
model: {{path: {ROOT}/models/laptop}}
engine: {{name: transformers}}
problems: {{count: 32, held_out: 2}}
curriculum: {{prompts_per_step: 4, rollouts_per_prompt: 4, max_response_tokens: 16}}
evaluation: {{every_n_steps: 0, samples_per_problem: 1}}
rewards: {{workers: 1}}
checkpoint: {{export: false, export_stages: false}}
log: {{progress_bar: false}}
"""
MINE_EVERY_2 = ["callbacks.mine.class_path=callbacks.mine.Mine", "callbacks.mine.init_args.every=2"]
STAGES = [
    "callbacks.stages.class_path=callbacks.stage_switch.StageSwitch",
    "callbacks.stages.init_args.stages=[{name: one, ends: {steps: 3}}, {name: two, top_p: 0.9, ends: {steps: 2}}]",
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a callback and a recipe; everything else is in the repository."""
    for name, text in {"callbacks/mine.py": MINE, "conf/recipe/tiny.yaml": RECIPE}.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(project: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "train.py"), "recipe=tiny", *overrides]
    env = fresh_environment(PYTHONPATH=str(ROOT / "src"), OMP_NUM_THREADS="1")
    return subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=280)


def history(project: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (project / "runs" / name / "curriculum.jsonl").read_text().splitlines()]


def test_a_users_callback_works_beside_ours_and_its_state_survives_a_resume(project: Path) -> None:
    both = [*MINE_EVERY_2, *STAGES]
    for arguments in (
        ["run.name=whole", "trainer.max_steps=9"],
        ["run.name=parts", "trainer.max_steps=3"],
        ["run.name=parts", "trainer.max_steps=9", "ckpt=last"],
    ):
        done = run(project, *both, *arguments)
        assert done.returncode == 0, done.stderr[-3000:]
    whole = history(project, "whole")
    # The stages end the run after 3 + 2 steps; Mine counts 2 steps each time, across the resume at step 3.
    cooled = [(change["step"], change["before"], change["after"]) for change in whole if change["who"] == "mine"]
    assert cooled == [(2, 1.0, 0.9), (4, 0.9, 0.8)]
    assert {"step": 3, "what": "top_p", "before": 1.0, "after": 0.9, "who": "stages"}.items() <= whole[-2].items()
    assert history(project, "parts") == whole


def test_a_callback_that_decides_from_its_ranks_own_rollouts_ends_the_run_with_one_line(project: Path) -> None:
    done = run(project, "callbacks.local.class_path=callbacks.mine.Local", "trainer.devices=2", "run.name=apart")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: after step 1 ranks differ in temperature, last changed by local: decide from ")


@pytest.mark.parametrize("package", [False, True])
def test_a_users_folder_of_callbacks_hides_none_of_ours_whether_a_package_or_not(project: Path, package: bool) -> None:
    if package:
        (project / "callbacks" / "__init__.py").write_text("")
    code = (
        "import sys; from acereason.planning.checks import check; from acereason.config.compose import compose\n"
        "from acereason.curricula.user_callbacks import user_callbacks\n"
        "config = compose(sys.argv[1:]); check(config)\n"
        "print(*(type(callback).__module__ for callback in user_callbacks(config)))\n"
    )
    command = [sys.executable, "-c", code, "recipe=tiny", *MINE_EVERY_2, *STAGES]
    env = fresh_environment(PYTHONPATH=str(ROOT / "src"), OMP_NUM_THREADS="1")
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["callbacks.mine", "callbacks.stage_switch"], done.stderr[-2000:]
