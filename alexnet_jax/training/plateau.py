"""Lowering the rate when the validation error stops improving (paper §5)."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Plateau:
    """What a run remembers of its tests; part of `TrainState`, so that it continues with it.

    Attributes:
        best_error: float32, the lowest error so far.
        stale: int32, tests since it improved, or since the rate was last lowered.
        drops: int32, how often the rate has been lowered.
        step: int32, completed steps at the last test that was counted.
    """

    best_error: jax.Array
    stale: jax.Array
    drops: jax.Array
    step: jax.Array


def before_any_test() -> Plateau:
    """Return the state of a run that has not been tested."""
    zero = jnp.int32(0)
    return Plateau(best_error=jnp.float32(jnp.inf), stale=zero, drops=zero, step=zero)


def update_plateau(
    plateau: Plateau, step: int, error: float, patience: int, threshold: float, drops: int
) -> Plateau:
    """Count a test; a test of a step that has been counted changes nothing.

    Args:
        plateau: after the tests before.
        step: completed steps at this test.
        error: its top-1 error, a fraction.
        patience: tests without improvement after which the rate is lowered.
        threshold: what the error must fall by to have improved, a fraction.
        drops: how often the rate is lowered at most; the paper: three times.
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
