"""The history of the curriculum in a file and in TensorBoard, and the check that all ranks have the same one."""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from acereason.distributed.collectives import gather
from acereason.errors import UserError
from acereason.files import write_whole
from acereason.policy.callback import PolicyCallback
from acereason.policy.module import PolicyModule
from acereason.rollout.curriculum import Change, Curriculum

HISTORY = "curriculum.jsonl"
"""Name of the file in a run's folder: one change a line."""


class RanksDisagreeError(UserError):
    """A decision of a callback from what only its own rank knows."""


class CurriculumWriter(PolicyCallback):
    """Writer of each change of the curriculum to the run's folder and to TensorBoard; comes after the user's callbacks.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / HISTORY
        self.written = 0
        self.in_file = -1

    def on_train_start(self, trainer: Trainer, module: PolicyModule) -> None:
        """Write the history from a checkpoint, and what the first stage has set."""
        self._write_file(trainer, module)

    def on_rollouts_start(self, trainer: Trainer, module: PolicyModule) -> None:
        """Write what was changed before the step's rollouts; ranks that divide them have to agree on their number.

        TensorBoard gets it after the step: a run that is killed in between makes the change, and the mark, again.
        """
        self._write_file(trainer, module)

    def on_train_batch_end(self, trainer: Trainer, module: PolicyModule, *_: object) -> None:
        """Write what was changed since the rollouts, before the step is evaluated and saved."""
        self._write_file(trainer, module)
        history = module.curriculum.history
        new, self.written = history[self.written :], len(history)
        if new and trainer.is_global_zero and isinstance(module.logger, TensorBoardLogger):
            text = "\n\n".join(in_words(change) for change in new)
            module.logger.experiment.add_text("curriculum/changes", text, module.curriculum.step)

    def state_dict(self) -> dict[str, int]:
        """Return how many changes are in TensorBoard."""
        return {"written": self.written}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Take it from a checkpoint."""
        self.written = state_dict["written"]

    def _write_file(self, trainer: Trainer, module: PolicyModule) -> None:
        check_agreement(module.curriculum, trainer.should_stop)
        history = module.curriculum.history
        if trainer.is_global_zero and (len(history) != self.in_file):
            write_history(self.path, history)
        self.in_file = len(history)


def in_words(change: Change) -> str:
    """Return a change as Markdown, such as `temperature 0.6 → 0.8 by sampling: epoch 2`."""
    return f"**{change.what}** {change.before} → {change.after} by {change.who}: {change.why}"


def write_history(path: Path, history: list[Change]) -> None:
    """Write one JSON object a line with the fields of `Change`; whole or not at all."""
    write_whole(path, "".join(json.dumps(asdict(change), ensure_ascii=False) + "\n" for change in history))


def read_history(path: Path) -> list[Change]:
    """Return what `write_history` wrote; nothing if there is no file."""
    if not path.exists():
        return []
    return [Change(**json.loads(line)) for line in path.read_text().splitlines()]


def check_agreement(curriculum: Curriculum, should_stop: bool) -> None:
    """Check that all ranks have the same curriculum; a collective.

    Raises:
        RanksDisagreeError: they do not; it names what differs and who changed it last.
    """
    state = {**curriculum.state_dict(), "should_stop": should_stop}
    digests = {name: blake2b(repr(value).encode(), digest_size=8).digest() for name, value in state.items()}
    everyone = gather(digests)
    different = [name for name in state if any(digests[name] != other[name] for other in everyone)]
    if different:
        raise RanksDisagreeError(disagreement(curriculum, different))


def disagreement(curriculum: Curriculum, different: list[str]) -> str:
    """Say in what ranks differ, and who changed it last."""
    names = [name for name in different if name != "history"] or different
    last = {change.what: change for change in curriculum.history}
    who = sorted({last[name].who for name in names if name in last}) or [c.who for c in curriculum.history[-1:]]
    return (
        f"after step {curriculum.step} ranks differ in {', '.join(names)}"
        + (f", last changed by {', '.join(who)}" if who else "")
        + ": decide from trainer.callback_metrics or from acereason.distributed.collectives.gather, the same on all"
    )
