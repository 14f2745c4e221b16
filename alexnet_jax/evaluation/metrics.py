"""The metrics of an evaluation: `METRICS` lists them; every example counts once."""

import re
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from alexnet_jax.errors import UserError

_NEVER = np.iinfo(np.int32).max  # The rank of a label in a row that is not finite.

# By name: a function of the per-example arrays of a whole split, as `per_example_metrics` returns
# them, to a number. Log lines, result.json, the table of `evaluate` and their checks follow from
# this list. The best checkpoint and the plateau schedule use top1_error.
METRICS: dict[str, Callable[[Mapping[str, np.ndarray]], float | np.floating]] = {
    "top1_error": lambda examples: np.mean(examples["rank"] >= 1),
    "top5_error": lambda examples: np.mean(examples["rank"] >= 5),
    "loss": lambda examples: np.mean(examples["loss"], dtype=np.float64),
}


class NotFiniteError(UserError):
    """A network predicts a number that is not finite, so it has no score."""


def score_names() -> tuple[str, ...]:
    """Return the names of an evaluation's numbers: all `METRICS`, and count."""
    return (*METRICS, "count")


def metric_title(name: str) -> str:
    """Return a metric's name as text: "top1_error" becomes "top-1 error"."""
    return re.sub(r"top(\d+)", r"top-\1", name).replace("_", " ")


def format_metric(name: str, value: float) -> str:
    """Return a metric's value for people: errors, which are fractions, in percent."""
    return f"{value:.2%}" if name.endswith("_error") else f"{value:.4f}"


def per_example_metrics(probabilities: jax.Array, labels: jax.Array) -> dict[str, jax.Array]:
    """Compute what metrics need of each example, from float32 [B, classes] and int32 [B].

    Returns:
        loss: float32 [B], -log p; label: int32 [B]; rank: int32 [B], the number of classes that are
        more probable than the label, or as probable and earlier. A row with a number that is not
        finite is never right: its label ranks behind all classes.
    """
    label_probability = jnp.take_along_axis(probabilities, labels[:, None], axis=1)
    earlier = jnp.arange(probabilities.shape[1])[None] < labels[:, None]
    ahead = (probabilities > label_probability) | ((probabilities == label_probability) & earlier)
    # A probability that underflows to 0 costs as much as the smallest float32, not infinity.
    smallest = jnp.finfo(jnp.float32).tiny
    loss = -jnp.log(jnp.maximum(label_probability[:, 0], smallest))
    rank = jnp.sum(ahead, axis=1, dtype=jnp.int32)
    finite = jnp.isfinite(probabilities).all(axis=1)
    return {"loss": loss, "rank": jnp.where(finite, rank, _NEVER), "label": labels}


def summarize(batches: Sequence[Mapping[str, np.ndarray]], expected: int) -> dict[str, float | int]:
    """Compute all `METRICS` of a split, and its count; RuntimeError if that is not `expected`.

    Batches hold the arrays of `per_example_metrics`, and mask, bool [B]: False rows do not count.
    """
    examples = {
        name: np.concatenate([batch[name][batch["mask"]] for batch in batches])
        for name in batches[0]
    }
    count = len(examples["mask"])
    if count != expected:
        raise RuntimeError(f"counted {count} examples; the split holds {expected}")
    return {name: float(metric(examples)) for name, metric in METRICS.items()} | {"count": count}
