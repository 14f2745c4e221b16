"""Convolution, lowered on each platform in the way that is fastest there."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from alexnet_jax.kernels import im2col, winograd_1d, winograd_2d
from alexnet_jax.kernels.checks import check_convolution
from alexnet_jax.kernels.select import conv_form
from alexnet_jax.kernels.tiled_conv import Edges, at_once, in_bands

_BANDS = 14  # More than the eight operations that XLA's CPU backend wants to see at once.


def conv2d(
    images: jax.Array,
    kernel: jax.Array,
    stride: int = 1,
    padding: tuple[int, int] = (0, 0),
    groups: int = 1,
    precision: lax.Precision = lax.Precision.HIGHEST,
) -> jax.Array:
    """Convolve, as `alexnet_jax.models.ops.conv2d` does."""
    check_convolution(images.shape, kernel.shape, stride, padding, groups)
    return _convolve(images, kernel, stride, padding, groups, precision)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4, 5))
def _convolve(
    images: jax.Array,
    kernel: jax.Array,
    stride: int,
    padding: tuple[int, int],
    groups: int,
    precision: lax.Precision,
) -> jax.Array:
    """XLA's convolution, on GPUs cuDNN's; on CPUs what is fastest for the shapes."""
    plainly, on_cpu = (
        partial(form, stride=stride, edges=(padding, padding), groups=groups, precision=precision)
        for form in (_plainly, _on_cpu)
    )
    return lax.platform_dependent(images, kernel, cpu=on_cpu, default=plainly)


def _forward(
    images: jax.Array,
    kernel: jax.Array,
    stride: int,
    padding: tuple[int, int],
    groups: int,
    precision: lax.Precision,
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _convolve(images, kernel, stride, padding, groups, precision), (images, kernel)


def _backward(
    stride: int,
    padding: tuple[int, int],
    groups: int,
    precision: lax.Precision,
    saved: tuple[jax.Array, jax.Array],
    gradient: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    plainly, on_cpu = (
        partial(form, stride=stride, edges=(padding, padding), groups=groups, precision=precision)
        for form in (_plainly, _gradients_on_cpu)
    )

    def by_xla(
        images: jax.Array, kernel: jax.Array, gradient: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        return jax.vjp(plainly, images, kernel)[1](gradient)

    return lax.platform_dependent(*saved, gradient, cpu=on_cpu, default=by_xla)


_convolve.defvjp(_forward, _backward)


def _plainly(
    images: jax.Array,
    kernel: jax.Array,
    stride: int,
    edges: Edges,
    groups: int,
    precision: lax.Precision,
) -> jax.Array:
    form = partial(at_once, stride=stride, edges=edges, precision=precision)
    return _side_by_side(form, images, kernel, groups)


def _on_cpu(
    images: jax.Array,
    kernel: jax.Array,
    stride: int,
    edges: Edges,
    groups: int,
    precision: lax.Precision,
) -> jax.Array:
    match conv_form(images, kernel, stride, groups):
        case "winograd_2d":
            return winograd_2d.convolve(images, kernel, edges, groups, precision)
        case "winograd_1d":
            form = partial(winograd_1d.convolve, edges=edges, precision=precision)
        case "in_bands":
            form = partial(_whole_of_bands, stride=stride, edges=edges, precision=precision)
        case "at_once":
            form = partial(at_once, stride=stride, edges=edges, precision=precision)
    return _side_by_side(form, images, kernel, groups)


def _gradients_on_cpu(
    images: jax.Array,
    kernel: jax.Array,
    gradient: jax.Array,
    stride: int,
    edges: Edges,
    groups: int,
    precision: lax.Precision,
) -> tuple[jax.Array, jax.Array]:
    window = kernel.shape[0], kernel.shape[1]
    if stride == 1:
        around = [
            (side - 1 - before, side - 1 - after)
            for side, (before, after) in zip(window, edges, strict=True)
        ]
        of_images = _on_cpu(gradient, _turned(kernel, groups), 1, around, groups, precision)
    else:
        plainly = partial(
            _plainly,
            kernel=kernel,
            stride=stride,
            edges=edges,
            groups=groups,
            precision=precision,
        )
        (of_images,) = jax.linear_transpose(plainly, images)(gradient)  # Nobody uses conv1's.
    match conv_form(images, kernel, stride, groups):
        case "winograd_2d":
            of_kernel = winograd_2d.kernel_gradient(images, gradient, edges, groups, precision)
            return of_images, of_kernel
        case "winograd_1d":
            sums = partial(winograd_1d.kernel_gradient, edges=edges, precision=precision)
        case _:
            sums = partial(
                im2col.kernel_gradient,
                window=window,
                stride=stride,
                edges=edges,
                precision=precision,
            )
    return of_images, _side_by_side(sums, images, gradient, groups)


def _turned(kernel: jax.Array, groups: int) -> jax.Array:
    """Turn the windows by half a circle, and exchange each group's channels and features."""
    height, width, channels, _ = kernel.shape
    by_group = kernel[::-1, ::-1].reshape(height, width, channels, groups, -1)
    return by_group.swapaxes(2, 4).reshape(height, width, -1, groups * channels)


def _side_by_side(
    form: Callable[[jax.Array, jax.Array], jax.Array],
    left: jax.Array,
    right: jax.Array,
    groups: int,
) -> jax.Array:
    """Compute each group by itself: both inputs and the result have groups in their last axis.

    XLA's CPU backend has no good gradient of a grouped convolution: 141 ms instead of 7 for conv2
    of `tiny`, 64 images.
    """
    parts = (jnp.split(whole, groups, axis=-1) for whole in (left, right))
    results = [form(*pair) for pair in zip(*parts, strict=True)]
    return results[0] if groups == 1 else jnp.concatenate(results, axis=-1)


def _whole_of_bands(
    images: jax.Array,
    kernel: jax.Array,
    stride: int,
    edges: Edges,
    precision: lax.Precision,
) -> jax.Array:
    return jnp.concatenate(in_bands(images, kernel, stride, edges, _BANDS, precision), axis=1)
