"""A callback that tells from outside what a run is doing, for those who kill it in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer


class MarkPhases(Callback):
    """Leaves a file in the run's folder while responses are generated, and while the policy is evaluated."""

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Wrap the first rank's engine and evaluation."""
        if trainer.global_rank:
            return
        folder = Path(module.config.run.folder)
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        engine = data.engines.engine
        generate, validate = engine.generate, data.validate

        def marked_generate(*arguments: Any) -> Iterator[Any]:
            for number, generation in enumerate(generate(*arguments)):
                if number == 2:
                    (folder / "generating").touch()
                yield generation
            (folder / "generating").unlink(missing_ok=True)

        def marked_validate() -> Any:
            (folder / "evaluating").touch()
            result = validate()
            (folder / "evaluating").unlink()
            return result

        engine.generate, data.validate = marked_generate, marked_validate
