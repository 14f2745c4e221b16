"""Learning rates as functions of the number of completed steps."""

from collections.abc import Sequence

import optax


def stepped(learning_rate: float, boundaries: Sequence[int], factor: float) -> optax.Schedule:
    """Multiply the rate by `factor` once `boundaries[i]` steps are completed, for each i.

    The 2012 code lowered the rate so, by hand, when the error stood still (factor 0.1).
    """
    return optax.piecewise_constant_schedule(
        learning_rate, {int(boundary): factor for boundary in boundaries}
    )


def geometric(learning_rate: float, steps: int, decay: float) -> optax.Schedule:
    """Divide the rate by decay^(1/3) at 25, 50 and 75 % of the run.

    With decay 250 the schedule of run 170 in the 2012 code and of cuda-convnet2 (2014): as good as
    lowering it by hand, and known beforehand.
    """
    boundaries = [steps // 4, steps // 2, 3 * steps // 4]
    return stepped(learning_rate, boundaries, decay ** (-1 / 3))
