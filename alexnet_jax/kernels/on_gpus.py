"""Forms that move fewer bytes in fewer kernels, by XLA's compiler for GPUs (docs/lab/chips.md)."""

import itertools
from functools import reduce

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental.layout import Layout, with_layout_constraint
from jax.typing import DTypeLike

from alexnet_jax.kernels import conv
from alexnet_jax.kernels.conv import Geometry
from alexnet_jax.kernels.normalization import Response, inverse_powers, widen
from alexnet_jax.models import ops


def keep_relu(x: jax.Array) -> tuple[jax.Array, tuple[jax.Array]]:
    """Return the result, and keep it for the gradient."""
    result = ops.relu(x)
    return result, (result,)


def relu_gradients(_: jax.Array, result: jax.Array, gradient: jax.Array) -> tuple[jax.Array]:
    """Return the gradient of the input, without the input.

    A convolution then writes the result alone: cuDNN adds the biases and applies the ReLU. XLA
    would compare the input where the result is compared with `>`.
    """
    return (lax.select(result != 0, gradient, lax.full_like(gradient, 0)),)


def connect(
    x: jax.Array,
    kernel: jax.Array,
    groups: int,
    precision: lax.Precision,
    result_dtype: DTypeLike,
) -> jax.Array:
    """Multiply as `models.ops.connect` does, but read the float32 kernel within the product.

    A copy in 16 bits would have to be written to memory, and read for each product. The kernel is
    rounded to TensorFloat-32 instead, which has three bits more, or not at all before Ampere.
    """
    if x.dtype != jnp.bfloat16:
        return ops.connect(x, kernel, groups, precision, result_dtype)
    sums = ops.connect(widen(x), kernel, groups, lax.Precision.DEFAULT, jnp.float32)
    return sums.astype(result_dtype)


def connect_gradients(
    x: jax.Array,
    kernel: jax.Array,
    gradient: jax.Array,
    groups: int,
    precision: lax.Precision,
    result_dtype: DTypeLike,
) -> tuple[jax.Array, jax.Array]:
    """Return the gradients of inputs and kernel; all factors are of the inputs' dtype."""
    above = gradient.astype(x.dtype)
    settings = groups, precision, x.dtype
    (of_x,) = jax.vjp(lambda x: connect(x, kernel, *settings), x)[1](above)
    (of_kernel,) = jax.vjp(lambda kernel: ops.connect(x, kernel, *settings), kernel)[1](above)
    return of_x, of_kernel


def conv_gradients(
    images: jax.Array, kernel: jax.Array, gradient: jax.Array, geometry: Geometry
) -> tuple[jax.Array, jax.Array]:
    """Return the gradients of images and kernel.

    The kernel's goes through memory in our order of axes: XLA would put cuDNN's order right while
    it updates the parameters, and copy these, because that is not in place.
    """
    pull = jax.vjp(lambda x, w: conv.convolve_at_once(x, w, geometry), images, kernel)[1]
    of_images, of_kernel = pull(gradient)
    ordered = with_layout_constraint(of_kernel, Layout((0, 1, 2, 3)))
    return of_images, lax.optimization_barrier(ordered)


def normalize(x: jax.Array, response: Response) -> jax.Array:
    """Compute the normalized response, as `normalization.normalize` does."""
    k, alpha, beta, size, axes = response
    wide = widen(x)
    sums = reduce(jnp.add, _windows(jnp.square(wide), size, axes))
    power, _ = inverse_powers(k + alpha * sums, beta)
    return (wide * power).astype(x.dtype)


def norm_gradients(x: jax.Array, gradient: jax.Array, response: Response) -> tuple[jax.Array]:
    """Return the gradient of the input, from sums that are computed again.

    What one pass writes for the next is of the input's dtype.
    """
    k, alpha, beta, size, axes = response
    wide, above = widen(x), widen(gradient)
    # Squared after padding, not before: XLA would keep the sums of the forward pass for these.
    sums = reduce(jnp.add, map(jnp.square, _windows(wide, size, axes)))
    power, inverse = inverse_powers(k + alpha * sums, beta)
    direct = above * power
    terms = (direct * wide * inverse).astype(x.dtype)
    if axes == (-1,):
        terms = lax.optimization_barrier(terms)
    else:  # A window of 25 numbers is not summed twice.
        terms, direct = lax.optimization_barrier((terms, direct.astype(x.dtype)))
    through_sums = reduce(jnp.add, _windows(widen(terms), size, axes))
    return ((widen(direct) - 2 * alpha * beta * wide * through_sums).astype(x.dtype),)


def _windows(x: jax.Array, size: int, axes: tuple[int, ...]) -> list[jax.Array]:
    """Return the first number of every centered window along the axes, zeros outside, and so on.

    Along all axes at once: of sums along one, then the other, XLA writes the first in float32.
    """
    sides = [size if axis in axes or axis - x.ndim in axes else 1 for axis in range(x.ndim)]
    padded = lax.pad(x, jnp.zeros((), x.dtype), [(side // 2, side // 2, 0) for side in sides])
    starts = itertools.product(*map(range, sides))
    return [
        lax.slice(padded, start, [a + b for a, b in zip(start, x.shape, strict=True)])
        for start in starts
    ]
