"""Learning rates, and what else changes in a run, as functions of the number of completed steps."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import optax


def constant(learning_rate: float) -> optax.Schedule:
    """Keep the rate; with the plateau schedule, a factor in the state lowers it."""
    return optax.constant_schedule(learning_rate)


def polynomial(learning_rate: float, steps: int, power: float) -> optax.Schedule:
    """Multiply the rate by the fraction of the run that is left, to the `power`."""
    return optax.polynomial_schedule(learning_rate, 0.0, power, steps)


def step_decay(learning_rate: float, boundaries: Sequence[int], factor: float) -> optax.Schedule:
    """Multiply the rate by `factor` once `boundaries[i]` steps are completed, for each i.

    The 2012 code lowered the rate so, by hand, when the error stood still (factor 0.1).
    """
    rates = [learning_rate * factor**number for number in range(len(boundaries) + 1)]
    return piecewise(rates, boundaries)


def staircase_exponential(
    learning_rate: float, steps: int, decay: float, levels: int = 4
) -> optax.Schedule:
    """Divide the rate by `decay`, in equal factors, so that `levels` rates share the run evenly.

    With decay 250 and 4 levels (÷250^(1/3) at 25, 50 and 75 %) the schedule of run 170 in the 2012
    code, `dexp[250,0,4]`, and of cuda-convnet2 (2014): as good as lowering it by hand, and known
    beforehand.
    """
    boundaries = [steps * number // levels for number in range(1, levels)]
    return step_decay(learning_rate, boundaries, decay ** (-1 / (levels - 1)))


def warmed_up(schedule: optax.Schedule, steps: int, start: float) -> optax.Schedule:
    """Begin with the share `start` of the rate and let it grow evenly to the whole in `steps`.

    Gradual warm-up (Goyal et al., arXiv 1706.02677). The schedule's own clock runs meanwhile.
    """
    share = optax.linear_schedule(start, 1.0, steps)
    return lambda step: schedule(step) * share(step)


def piecewise(values: Sequence[float], boundaries: Sequence[int]) -> optax.Schedule:
    """Take `values[i]` once `boundaries[i - 1]` steps are completed, `values[0]` before."""
    assert len(values) == len(boundaries) + 1, (values, boundaries)
    table, edges = jnp.asarray(values, jnp.float32), jnp.asarray(boundaries, jnp.int32)
    return lambda step: table[jnp.sum(step >= edges)]


# By the name in config.schedule.name. Parameters: keys of config.schedule, `boundaries` in steps,
# and `steps`, those of the run.
SCHEDULES: dict[str, Callable[..., optax.Schedule]] = {
    "constant": constant,
    "step_decay": step_decay,
    "staircase_exponential": staircase_exponential,
    "polynomial": polynomial,
    "plateau": constant,
}
