"""The lengths of a run, in completed steps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from alexnet_jax.config.rules import MOST_STEPS
from alexnet_jax.errors import UserError


@dataclass(frozen=True)
class Durations:
    """The lengths of a run in steps.

    Attributes:
        total: of the run.
        per_epoch: steps; seldom a whole number.
        evaluate_every, save_every, log_every: periods of `is_due`; not whole where they were given
            in epochs.
        stuck_after: step at which a loss that has not fallen is warned about; None: never.
    """

    total: int
    per_epoch: float
    evaluate_every: float
    save_every: float
    log_every: float
    stuck_after: int | None

    def is_due(self, step: int, every: float) -> bool:
        """Return whether an event of period `every` is due after `step` completed steps.

        Events are due at round(every), round(2·every), … and at the end of the run. So periods
        given in epochs do not drift, and coincide wherever the epochs do.
        """
        number = step / every
        due = any(round(k * every) == step for k in (math.floor(number), math.ceil(number)))
        return due or step >= self.total

    def steps(self, epochs: Sequence[float]) -> list[int]:
        """Convert epochs to completed steps; UserError above `MOST_STEPS`."""
        return [
            check_countable(round(epoch * self.per_epoch), f"epoch {epoch:,g}") for epoch in epochs
        ]


def check_countable(steps: int, what: str) -> int:
    """Return `steps`; UserError if there are more than an int32 can count."""
    if steps > MOST_STEPS:
        raise UserError(f"{what} ends at step {steps:,}; a run counts to {MOST_STEPS:,}")
    return steps
