"""What a curriculum callback may have besides Lightning's hooks; a plain Lightning callback needs none of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lightning.pytorch import Callback

from acereason.config.schema import Config
from acereason.policy.callback import PolicyCallback


class CurriculumCallback(PolicyCallback):
    """A callback that changes the curriculum and checks its settings before the run.

    Attributes:
        name: key of the callback in the settings, and in the history of the curriculum.
        logs: metrics that it adds to `module.metrics`, so that others may name them.
    """

    name = ""
    logs: tuple[str, ...] = ()

    def __init_subclass__(cls, **arguments: object) -> None:
        """Name it after its class until the settings name it."""
        super().__init_subclass__(**arguments)
        cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()

    @property
    def state_key(self) -> str:
        """Key of its state in a checkpoint; several callbacks of one class differ by their names."""
        return f"{type(self).__qualname__}/{self.name}"

    def setting(self, key: str) -> str:
        """Return the full key of a constructor argument, which begins each message about it."""
        return f"callbacks.{self.name}.init_args.{key}"

    def check(self, config: Config, others: Sequence[Callback]) -> None:
        """Check its settings before anything is loaded.

        Args:
            config: settings of the run.
            others: all callbacks that the settings name, this one among them.

        Raises:
            UserError: it cannot work with these settings.
        """

    def longest_response(self, config: Config) -> int:
        """Return the largest `max_response_tokens` that it may set; 0 if it sets none. The engine is sized for it."""
        return 0
