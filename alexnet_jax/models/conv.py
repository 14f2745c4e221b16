"""Convolution, lowered on each platform in the way that is fastest there."""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from alexnet_jax.models import patches, winograd_1d, winograd_2d
from alexnet_jax.models.bands import Edges, at_once, in_bands

_BANDS = 14  # More than the eight operations that XLA's CPU backend wants to see at once.
_WORTH_BANDS = 2 * 10**7  # Multiply-adds an image: a quarter of a millisecond of one core.
_WORTH_TRANSFORMS = {(3, 3): 64, (5, 5): 24}  # Channels, and features, in a group, by window.


def conv2d(
    images: jax.Array,
    kernel: jax.Array,
    stride: int = 1,
    padding: tuple[int, int] = (0, 0),
    groups: int = 1,
    precision: lax.Precision = lax.Precision.HIGHEST,
) -> jax.Array:
    """Convolve; group i of the features sees group i of the channels.

    Args:
        images: [B, H, W, C].
        kernel: [h, w, C / groups, features].
        stride: pixels from one window to the next, in both directions.
        padding: zeros before and after each spatial side.
        groups: number of groups.
        precision: of the products of float32 numbers, here and in the gradients: HIGHEST is
            float32 on every platform, DEFAULT the platform's own, TensorFloat-32 on GPUs since
            Ampere and bfloat16 on TPUs.

    Returns:
        [B, (H + sum(padding) - h) // stride + 1, and so for W, features].

    Raises:
        ValueError: the shapes do not fit.
    """
    _check(images.shape, kernel.shape, stride, padding, groups)
    return _convolve(images, kernel, stride, padding, groups, precision)


def _check(
    images: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: int,
    padding: tuple[int, int],
    groups: int,
) -> None:
    given = f"images {images}, kernel {kernel}, stride {stride}, padding {padding}, groups {groups}"
    if len(images) != 4 or len(kernel) != 4:
        raise ValueError(f"{given}: images are [B, H, W, C], kernels [h, w, C / groups, features]")
    if stride < 1 or groups < 1 or len(padding) != 2 or min(padding) < 0:
        raise ValueError(
            f"{given}: stride and groups are at least 1, padding is two numbers of at least 0"
        )
    if images[3] != kernel[2] * groups or kernel[3] % groups:
        raise ValueError(
            f"{given}: images need {kernel[2] * groups} channels, and groups divide the features"
        )
    if min(images[1:3]) + sum(padding) < max(kernel[:2]):
        raise ValueError(f"{given}: the padded images are smaller than the kernel")


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
    if _suits_winograd(kernel, stride, groups):
        if kernel.shape[:2] == (3, 3):
            return winograd_2d.convolve(images, kernel, edges, groups, precision)
        form = partial(winograd_1d.convolve, edges=edges, precision=precision)
    elif _leaves_cores_idle(images, kernel, stride, groups):
        form = partial(_whole_of_bands, stride=stride, edges=edges, precision=precision)
    else:
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
    if _suits_winograd(kernel, stride, groups):
        if window == (3, 3):
            of_kernel = winograd_2d.kernel_gradient(images, gradient, edges, groups, precision)
            return of_images, of_kernel
        sums = partial(winograd_1d.kernel_gradient, edges=edges, precision=precision)
    else:
        sums = partial(
            patches.kernel_gradient,
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


def _suits_winograd(kernel: jax.Array, stride: int, groups: int) -> bool:
    """Tell whether fewer multiplications are worth the transforms, which want more than 16 bits.

    On two cores, forward and both gradients: 3x3 windows over 32 maps of 13x13, 32 channels to as
    many features 5.1 ms instead of 3.9, 48 to 64 6.4 and 6.4, 64 to 64 6.1 instead of 8.5; 5x5 over
    32 of 27x27, 16 to 16 8.8 instead of 8.5, 24 to 32 11 instead of 18.
    """
    height, width, channels, features = kernel.shape
    enough = _WORTH_TRANSFORMS.get((height, width), math.inf)
    wide = jnp.finfo(kernel.dtype).bits >= 32
    return stride == 1 and min(channels, features // groups) >= enough and wide


def _leaves_cores_idle(images: jax.Array, kernel: jax.Array, stride: int, groups: int) -> bool:
    """Tell whether XLA would leave cores of a CPU idle, and for long enough to mend it."""
    pixels = images.shape[1] * images.shape[2] // stride**2  # The batch may be of any size.
    few = kernel.shape[-1] // groups < 256
    return few and pixels * kernel.size // groups >= _WORTH_BANDS


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
