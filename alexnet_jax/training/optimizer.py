"""Krizhevsky's stochastic gradient descent."""

from typing import Any

import jax
import optax


def krizhevsky_sgd(
    learning_rate: optax.ScalarOrSchedule,
    momentum: float = 0.9,
    weight_decay: float = 0.0005,
    bias_rate_multiplier: float = 2.0,
) -> optax.GradientTransformation:
    """Build the update rule of paper §5.

        v <- momentum·v - weight_decay·ε·w - ε·∂L/∂w
        w <- w + v

    The rate ε is inside the velocity, so a lower rate takes hold gradually; `optax.sgd` and PyTorch
    keep it outside. As in the 2012 code (`layer-params-145.cfg`), biases do not decay and learn
    at a rate of their own.

    Args:
        learning_rate: ε, or a schedule of it by completed steps.
        momentum: share of the velocity that is kept.
        weight_decay: of kernels.
        bias_rate_multiplier: the biases' rate in units of ε.
    """
    return optax.chain(
        optax.add_decayed_weights(weight_decay, mask=_kernels),
        optax.masked(optax.scale(bias_rate_multiplier), _biases),
        optax.scale_by_learning_rate(learning_rate),
        optax.trace(decay=momentum),
    )


def _biases(params: Any) -> Any:
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "bias", params)


def _kernels(params: Any) -> Any:
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", params)
