"""The exponential moving average of a network's variables."""

from typing import Any

import jax
import jax.numpy as jnp


def update_average(average: Any, variables: Any, step: jax.Array, ema_decay: float) -> Any:
    """Move the average toward the variables: average <- d·average + (1 - d)·variables.

    d = min(ema_decay, (1 + step) / (10 + step)), so that a short run soon forgets the initial
    variables (`tf.train.ExponentialMovingAverage` with `num_updates`). `step` counts the steps
    completed before this one; before the first, the average is the first state's variables.
    """
    updates = step.astype(jnp.float32)
    decay = jnp.minimum(ema_decay, (1 + updates) / (10 + updates))
    return jax.tree.map(lambda mean, new: decay * mean + (1 - decay) * new, average, variables)
