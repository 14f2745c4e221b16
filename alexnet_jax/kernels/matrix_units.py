"""Normalization and pooling for chips whose strength is matrix products: TPUs.

Channels lie in a TPU's lanes. A sum over neighboring channels that is made of shifted slices moves
every number from lane to lane, once for each of them; as a product with a matrix of zeros and ones
it costs next to nothing (docs/lab/chips.md).
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from alexnet_jax.kernels.normalization import Response, inverse_powers, widen
from alexnet_jax.models import ops


def normalize(x: jax.Array, response: Response) -> jax.Array:
    """Compute the normalized response, as `normalization.normalize` does."""
    k, alpha, beta, size, axes = response
    wide = widen(_join_groups(x, axes))
    scale = k + alpha * _window_sum(jnp.square(wide), x, size, axes)
    power, _ = inverse_powers(scale, beta)
    return (wide * power).astype(x.dtype).reshape(x.shape)


def gradients(x: jax.Array, gradient: jax.Array, response: Response) -> tuple[jax.Array]:
    """Return the gradient of the input, from sums that are computed again."""
    k, alpha, beta, size, axes = response
    wide, above = (widen(_join_groups(each, axes)) for each in (x, gradient))
    scale = k + alpha * _window_sum(jnp.square(wide), x, size, axes)
    power, inverse = inverse_powers(scale, beta)
    direct = above * power
    terms = direct * wide * inverse
    if axes != (-1,):
        terms = lax.optimization_barrier(terms.astype(x.dtype))
    through_sums = _window_sum(widen(terms), x, size, axes)
    result = direct - 2 * alpha * beta * wide * through_sums
    return (result.astype(x.dtype).reshape(x.shape),)


def max_and_nothing(x: jax.Array, window: int, stride: int) -> tuple[jax.Array, tuple[jax.Array]]:
    """Return the maxima, and zeros in place of their places: all platforms must keep the same."""
    largest = ops.max_pool(x, window, stride)
    return largest, (jnp.zeros(largest.shape, jnp.int8),)


def max_pool_gradients(
    x: jax.Array, _: jax.Array, gradient: jax.Array, window: int, stride: int
) -> tuple[jax.Array]:
    """Return the gradient of the input: that of each window where its first maximum is."""
    return jax.vjp(partial(ops.max_pool, window=window, stride=stride), x)[1](gradient)


def _join_groups(x: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """Return [..., groups, channels] as [..., groups·channels] where channels are summed."""
    return x.reshape(*x.shape[:-2], -1) if axes == (-1,) else x


def _window_sum(x: jax.Array, grouped: jax.Array, size: int, axes: tuple[int, ...]) -> jax.Array:
    """Sum over a centered window along channels of one group, or along the maps' sides."""
    if axes == (-1,):
        return _sum_channels(x, grouped.shape[-1], size, grouped.dtype)
    sides = [size if axis in axes else 1 for axis in range(x.ndim)]
    return lax.reduce_window(x, 0.0, lax.add, sides, (1,) * x.ndim, "SAME")


def _sum_channels(x: jax.Array, channels: int, size: int, dtype: jnp.dtype) -> jax.Array:
    """Sum over the neighbors among `channels` of a group: a product with zeros and ones."""
    place = np.arange(x.shape[-1])
    near = np.abs(place[:, None] - place) <= size // 2
    band = near & (place[:, None] // channels == place // channels)
    # Numbers of 16 bits have been rounded more than the matrix units round their factors.
    precision = lax.Precision.DEFAULT if dtype.itemsize == 2 else lax.Precision.HIGHEST
    band = jnp.asarray(band, dtype)
    sums = jnp.matmul(x.astype(dtype), band, precision=precision, preferred_element_type=dtype)
    return widen(sums)
