"""Sums and counts of a test, every example once."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from alexnet_jax.errors import UserError

_NEVER = np.iinfo(np.int32).max  # The rank of a label in a row that is not finite.


class NotFiniteError(UserError):
    """A network predicts what is no finite number, so that it has no score."""


def per_example_metrics(probabilities: jax.Array, labels: jax.Array) -> dict[str, jax.Array]:
    """Return each example's loss and the rank of its label, on its own device.

    The rank is the number of classes that are more probable, or as probable and earlier: ties fall
    the same way on every device. A row with a number that is not finite is never right: its label
    comes behind all classes.

    Args:
        probabilities: float32 [B, classes].
        labels: int32 [B].

    Returns:
        loss: float32 [B], -log p; rank: int32 [B], 0 for the most probable class.
    """
    label_probability = jnp.take_along_axis(probabilities, labels[:, None], axis=1)
    earlier = jnp.arange(probabilities.shape[1])[None] < labels[:, None]
    ahead = (probabilities > label_probability) | ((probabilities == label_probability) & earlier)
    # A probability that underflows to 0 costs as much as the smallest float32, not infinity.
    smallest = jnp.finfo(jnp.float32).tiny
    loss = -jnp.log(jnp.maximum(label_probability[:, 0], smallest))
    rank = jnp.sum(ahead, axis=1, dtype=jnp.int32)
    return {"loss": loss, "rank": jnp.where(all_finite(probabilities), rank, _NEVER)}


def all_finite(probabilities: jax.Array) -> jax.Array:
    """Say of each row, [B, classes], whether all of it is finite: bool [B]."""
    return jnp.all(jnp.isfinite(probabilities), axis=1)


def refuse_not_finite(judged: Sequence[dict[str, np.ndarray]], names: Sequence[str]) -> None:
    """Raise NotFiniteError, naming the networks, if one predicts what is no finite number.

    Args:
        judged: of each batch, finite: bool [B, networks], and mask: bool [B].
        names: one a network.
    """
    mask = np.concatenate([batch["mask"] for batch in judged])
    finite = np.concatenate([batch["finite"] for batch in judged])[mask]
    found = [
        f"{name} predicts numbers that are not finite for {count:,} of {len(finite):,} images"
        for name, count in zip(names, np.sum(~finite, axis=0), strict=True)
        if count
    ]
    if found:
        raise NotFiniteError("; ".join(found))


def summarize(judged: Sequence[dict[str, np.ndarray]], expected: int) -> dict[str, float | int]:
    """Add up the batches of a whole split, in float64.

    Args:
        judged: what `per_example_metrics` returned for each batch, and its mask, bool [B]: rows
            where it is False do not count.
        expected: number of examples in the split.

    Returns:
        top1_error and top5_error (fractions), loss (mean), count.

    Raises:
        RuntimeError: the examples counted are not as many as the split holds.
    """
    mask, loss, rank = (
        np.concatenate([batch[name] for batch in judged]) for name in ("mask", "loss", "rank")
    )
    loss, rank = loss[mask], rank[mask]
    if len(rank) != expected:
        raise RuntimeError(f"counted {len(rank)} examples; the split holds {expected}")
    return {
        "top1_error": float(np.mean(rank >= 1)),
        "top5_error": float(np.mean(rank >= 5)),
        "loss": float(np.mean(loss, dtype=np.float64)),
        "count": expected,
    }
