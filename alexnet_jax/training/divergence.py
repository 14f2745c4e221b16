"""Runs that diverge: which checkpoint is known to be good, and how to resume from it."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from alexnet_jax.errors import UserError


class DivergedError(UserError):
    """A number of a run is not finite.

    Args:
        message: which number, at what step and learning rate.
        losses: finite losses, by step, that the log does not have.
    """

    def __init__(self, message: str, losses: Mapping[int, float] | None = None) -> None:
        super().__init__(message)
        self.losses = losses or {}


def blow_up_limit(means: Collection[float], num_classes: int) -> float:
    """Return the loss above which training has blown up.

    It is half of ln(classes), the loss of guessing, above the lowest logged mean or ln(classes),
    whichever is lower.
    """
    guessing = math.log(num_classes)
    return min([guessing, *means]) + guessing / 2


def confirmed_step(
    lines: Sequence[Mapping[str, Any]],
    steps: Collection[int],
    num_classes: int,
    losses: Mapping[int, float] | None = None,
) -> int | None:
    """Return the latest checkpoint that a later loss, which has not blown up, shows to be good.

    The loss of step s + 1 is computed with the parameters saved at s. A logged mean counts like a
    loss, because no window of the log spans a save.

    Args:
        lines: of metrics.jsonl.
        steps: of the checkpoints.
        num_classes: of the network.
        losses: more of them, by step.
    """
    means = {
        line["step"]: line["loss"] for line in lines if line["kind"] == "train" and "loss" in line
    }
    limit = blow_up_limit(means.values(), num_classes)
    good = [step for step, loss in (means | dict(losses or {})).items() if loss <= limit]
    return max((step for step in steps if step < max(good, default=0)), default=None)


def describe_way_out(good: int | None, set_aside: Sequence[int]) -> str:
    """Return how to resume a run that diverged.

    Args:
        good: the latest checkpoint that is known to be good, if any.
        set_aside: later ones, which were moved.
    """
    if good is None:
        return (
            "No checkpoint is known to be good: lower --config.schedule.learning_rate (to a third, "
            "say) and start in a new --workdir"
        )
    steps = ", ".join(map(str, set_aside))
    moved = f" (moved to diverged_checkpoints: {steps})" if steps else ""
    return (
        f"Checkpoint {good} is known to be good{moved}. To resume from it, run the same command "
        "with --resume=ignore_config and a lower --config.schedule.learning_rate, a third, say"
    )
