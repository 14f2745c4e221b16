"""Learning rates and other values as functions of completed steps; the plateau counters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax


def constant(learning_rate: float) -> optax.Schedule:
    """Keep the rate; with the plateau schedule, a factor from the state lowers it."""
    return optax.constant_schedule(learning_rate)


def polynomial(learning_rate: float, steps: int, power: float) -> optax.Schedule:
    """Multiply the rate by the remaining fraction of the run, raised to `power`."""
    return optax.polynomial_schedule(learning_rate, 0.0, power, steps)


def cosine(learning_rate: float, steps: int) -> optax.Schedule:
    """Lower the rate to 0 along half a wave of the cosine (arXiv 1608.03983)."""
    return optax.cosine_decay_schedule(learning_rate, steps)


def step_decay(learning_rate: float, boundaries: Sequence[int], factor: float) -> optax.Schedule:
    """Multiply the rate by `factor` once `boundaries[i]` steps are completed, for each i.

    In 2012 the rate was lowered this way by hand, by a factor of 10, whenever the error stopped
    falling.
    """
    rates = [learning_rate * factor**number for number in range(len(boundaries) + 1)]
    return piecewise(rates, boundaries)


def staircase_exponential(
    learning_rate: float, steps: int, decay: float, levels: int = 4
) -> optax.Schedule:
    """Divide the rate by `decay` in equal factors, so that `levels` rates share the run evenly.

    With decay 250 and 4 levels (÷250^(1/3) at 25, 50 and 75 %) it is the schedule of run 170 in the
    2012 code, `dexp[250,0,4]`, and of cuda-convnet2 (2014).
    """
    boundaries = [steps * number // levels for number in range(1, levels)]
    return step_decay(learning_rate, boundaries, decay ** (-1 / (levels - 1)))


def warmed_up(schedule: optax.Schedule, steps: int, start: float) -> optax.Schedule:
    """Multiply `schedule` by a factor that rises linearly from `start` to 1 over `steps` steps.

    The schedule itself starts at step 0, not after warm-up (Goyal et al., arXiv 1706.02677).
    """
    fraction = optax.linear_schedule(start, 1.0, steps)
    return lambda step: schedule(step) * fraction(step)


def piecewise(values: Sequence[float], boundaries: Sequence[int]) -> optax.Schedule:
    """Return `values[i]` once `boundaries[i - 1]` steps are completed, `values[0]` before."""
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
    "cosine": cosine,
    "plateau": constant,
}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Plateau:
    """Counters of the plateau schedule (paper §5); part of `TrainState`."""

    best_error: jax.Array  # float32, the lowest so far.
    stale: jax.Array  # int32, evaluations since it improved or the rate was lowered.
    drops: jax.Array  # int32, how often the rate has been lowered.
    step: jax.Array  # int32, completed steps at the last counted evaluation.


def new_plateau() -> Plateau:
    """Return the counters before the first evaluation."""
    zero = jnp.int32(0)
    return Plateau(best_error=jnp.float32(jnp.inf), stale=zero, drops=zero, step=zero)


def update_plateau(
    plateau: Plateau, step: int, error: float, patience: int, threshold: float, drops: int
) -> Plateau:
    """Count an evaluation; one at a step that has been counted changes nothing.

    Args:
        plateau: Counters before this evaluation.
        step: Completed steps.
        error: Top-1 error, a fraction.
        patience: Evaluations without improvement after which the rate is lowered.
        threshold: Decrease of the error that counts as an improvement, a fraction.
        drops: Largest number of times that the rate is lowered; three in the paper.
    """
    if step <= int(plateau.step):
        return plateau
    best, stale, dropped = float(plateau.best_error), int(plateau.stale), int(plateau.drops)
    if error < best - threshold:
        best, stale = error, 0
    else:
        stale += 1
    if stale >= patience and dropped < drops:
        stale, dropped = 0, dropped + 1
    return Plateau(jnp.float32(best), jnp.int32(stale), jnp.int32(dropped), jnp.int32(step))
