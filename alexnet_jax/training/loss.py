"""Losses: cross entropy, with smoothed labels too."""

from collections.abc import Callable

import jax
import optax

# (logits float32 [B, classes], labels int32 [B]) -> losses float32 [B]
Loss = Callable[[jax.Array, jax.Array], jax.Array]

cross_entropy: Loss = optax.softmax_cross_entropy_with_integer_labels


def smoothed_cross_entropy(
    logits: jax.Array, labels: jax.Array, label_smoothing: float
) -> jax.Array:
    """Compute -Σ_c q_c·log p_c, with q the label's one-hot vector mixed with the uniform one.

        q_c = (1 - label_smoothing)·[c = label] + label_smoothing / classes

    Label smoothing of Szegedy et al. (arXiv 1512.00567).

    Args:
        logits: float32 [B, classes].
        labels: int32 [B].
        label_smoothing: fraction of the probability that all classes share.

    Returns:
        float32 [B].
    """
    of_uniform = jax.nn.logsumexp(logits, axis=-1) - logits.mean(axis=-1)
    of_labels = cross_entropy(logits, labels)
    return (1 - label_smoothing) * of_labels + label_smoothing * of_uniform
