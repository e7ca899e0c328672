"""What a curriculum callback may have besides Lightning's hooks; a plain Lightning callback needs none of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Callback, Trainer

from acereason.config.schema import Config


class CurriculumCallback(Callback):
    """A callback that writes the curriculum, asked before a run whether it can work.

    Attributes:
        name: under which the settings have it; what the history calls it.
        logs: metrics that it adds to `module.metrics`, so that others may name them.
    """

    name = ""
    logs: tuple[str, ...] = ()

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Names it after its class, until the settings name it."""
        super().__init_subclass__(**arguments)
        cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()

    @property
    def state_key(self) -> str:
        """Several callbacks of one class keep their states apart by their names."""
        return f"{type(self).__qualname__}/{self.name}"

    def setting(self, key: str) -> str:
        """A constructor argument as it is set: the start of a message about it."""
        return f"callbacks.{self.name}.init_args.{key}"

    def check(self, config: Config, others: Sequence[Callback]) -> None:
        """Refuses what cannot work, before anything heavy is loaded.

        Args:
            config: the run's settings.
            others: all callbacks that the settings name, this one among them.

        Raises:
            UserError: something cannot.
        """

    def longest_response(self, config: Config) -> int:
        """The largest `max_response_tokens` that it may set, tokens; 0 when it sets none. The engine is made for it."""
        return 0

    def on_rollouts_start(self, trainer: Trainer, module: Any) -> None:
        """Called before the prompts of a step are chosen, after the checkpoint of the step before.

        What it changes holds for this very step. Work that takes long belongs here: a run that is killed in it goes on
        from that checkpoint. One that is stopped in the rollouts calls it again for the same step: it must come to the
        same.
        """
