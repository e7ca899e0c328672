"""The factor of the loss in float16, whose smallest normal number is 6e-5: smaller gradients would vanish."""

from __future__ import annotations

from acereason.config.schema import DType

FIRST, LARGEST = 2.0**16, 2.0**24
FEWER, MORE = 4.0, 2.0
STEADY_UPDATES = 50


class LossScale:
    """A power of two by which the loss is multiplied before, and its gradient divided after, the backward pass.

    Powers of two change no digit. After an overflow the gradients of the same rollouts are computed again with a
    smaller one, instead of leaving the update out as dynamic loss scaling usually does: rollouts take longer than
    gradients. `torch.amp.GradScaler` looks for overflows on each rank alone, which does not fit shards.

    Args:
        compute_dtype: of activations and gradients; the factor stays 1 unless it is float16.

    Attributes:
        value: the factor.
        steady: updates since it last changed.
    """

    def __init__(self, compute_dtype: DType) -> None:
        self.is_on = compute_dtype is DType.float16
        self.value = FIRST if self.is_on else 1.0
        self.steady = 0

    def lower(self) -> bool:
        """Lower the factor after an overflow; return whether that was possible."""
        if self.value == 1:
            return False
        self.value, self.steady = max(self.value / FEWER, 1.0), 0
        return True

    def count(self) -> None:
        """Count an update without overflow; raise the factor after every 50 of them."""
        self.steady += self.is_on
        if self.steady == STEADY_UPDATES:
            self.value, self.steady = min(self.value * MORE, LARGEST), 0

    def state_dict(self) -> dict[str, float]:
        """Return factor and count."""
        return {"value": self.value, "steady": self.steady}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Restore what `state_dict` returned."""
        self.value, self.steady = state["value"], int(state["steady"])
