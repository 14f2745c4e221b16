"""Sums and counts of a test, every example once."""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np


def count_errors(
    probabilities: jax.Array, labels: jax.Array, mask: jax.Array
) -> dict[str, jax.Array]:
    """Count the errors of one batch.

    The label's rank is the number of classes that are more probable, or as probable and earlier:
    ties fall the same way on every device.

    Args:
        probabilities: float32 [B, classes].
        labels: int32 [B].
        mask: bool [B]; rows where it is False do not count.

    Returns:
        Scalars: loss (sum of -log p, float32), top1_errors, top5_errors, count (int32).
    """
    label_probability = jnp.take_along_axis(probabilities, labels[:, None], axis=1)
    earlier = jnp.arange(probabilities.shape[1]) < labels[:, None]
    ahead = (probabilities > label_probability) | ((probabilities == label_probability) & earlier)
    rank = jnp.sum(ahead, axis=1)
    # A probability that underflows to 0 costs as much as the smallest float32, not infinity.
    losses = -jnp.log(jnp.maximum(label_probability[:, 0], jnp.finfo(jnp.float32).tiny))
    return {
        "loss": jnp.sum(losses, where=mask),
        "top1_errors": jnp.sum((rank >= 1) & mask),
        "top5_errors": jnp.sum((rank >= 5) & mask),
        "count": jnp.sum(mask),
    }


def add_up(counts: Iterable[dict[str, jax.Array]], expected: int) -> dict[str, float | int]:
    """Add up the batches of a whole split.

    Args:
        counts: what `count_errors` returned for each batch.
        expected: number of examples in the split.

    Returns:
        loss (mean), top1_error and top5_error (fractions), count.

    Raises:
        RuntimeError: the examples counted are not as many as the split holds.
    """
    batches = jax.device_get(list(counts))
    sums = {
        name: np.sum([batch[name] for batch in batches], dtype=np.float64)
        for name in ("loss", "top1_errors", "top5_errors", "count")
    }
    if sums["count"] != expected:
        raise RuntimeError(f"counted {sums['count']:.0f} examples; the split holds {expected}")
    return {
        "top1_error": float(sums["top1_errors"] / expected),
        "top5_error": float(sums["top5_errors"] / expected),
        "loss": float(sums["loss"] / expected),
        "count": expected,
    }
