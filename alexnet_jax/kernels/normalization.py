"""Response normalization whose gradient keeps the input alone, and computes no power."""

from functools import reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


class Response(NamedTuple):
    """x / (k + alpha·Σx²)^beta, the sum over a centered window of `size` along `axes`."""

    k: float
    alpha: float
    beta: float
    size: int
    axes: tuple[int, ...]


def normalize(x: jax.Array, response: Response) -> jax.Array:
    """Compute the normalized response in float32."""
    k, alpha, beta, size, axes = response
    wide = widen(x)
    scale = k + alpha * _window_sum(jnp.square(wide), size, axes)
    return (wide / _power(scale, beta)).astype(x.dtype)


def gradients(x: jax.Array, gradient: jax.Array, response: Response) -> tuple[jax.Array]:
    """Return the gradient of the input, from sums that are computed again."""
    k, alpha, beta, size, axes = response
    wide, above = widen(x), widen(gradient)
    # Squared after padding, not before: XLA would keep the sums of the forward pass for these.
    squares = map(jnp.square, _shift(wide, size, axes[0]))
    scale = k + alpha * _window_sum(reduce(jnp.add, squares), size, axes[1:])
    direct = above / _power(scale, beta)
    # The windows that hold a number are those of its own window: they are centered.
    through_sums = _window_sum(direct * wide / scale, size, axes)
    return ((direct - 2 * alpha * beta * wide * through_sums).astype(x.dtype),)


def _window_sum(x: jax.Array, size: int, axes: tuple[int, ...]) -> jax.Array:
    for axis in axes:
        x = reduce(jnp.add, _shift(x, size, axis))
    return x


def _shift(x: jax.Array, size: int, axis: int) -> list[jax.Array]:
    """Return the first number of every window along the axis, zeros outside, then the second."""
    before_and_after = [(0, 0, 0)] * x.ndim
    before_and_after[axis] = (size // 2, size // 2, 0)
    padded = lax.pad(x, jnp.zeros((), x.dtype), before_and_after)
    length = x.shape[axis]
    return [lax.slice_in_dim(padded, i, i + length, axis=axis) for i in range(size)]


def widen(x: jax.Array) -> jax.Array:
    """Return numbers of 16 bits in float32, others as they are."""
    return x.astype(np.promote_types(x.dtype, np.float32))


def _power(x: jax.Array, beta: float) -> jax.Array:
    """Compute x^beta; for the 3/4 of 2012 from square roots, which are faster than `pow`.

    Divide by it: XLA computes a quotient once, but a product with a factor once for each of the
    nine pixels of a pooling window.
    """
    if beta == 0.75:
        root = lax.sqrt(x)
        return root * lax.sqrt(root)
    return x**beta


def inverse_powers(x: jax.Array, beta: float) -> tuple[jax.Array, jax.Array]:
    """Return x^-beta and 1/x; for the 3/4 of 2012 from two inverse roots, without a division."""
    if beta == 0.75:
        root = lax.rsqrt(x)
        inverse = root * root
        return inverse * lax.rsqrt(root), inverse
    return x**-beta, 1 / x
