"""The operations of `alexnet_jax.models.ops`, in the forms that select.py chooses.

The platform is known when a program is lowered: a machine without a chip compiles for one.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from jax import lax
from jax.typing import DTypeLike

from alexnet_jax.kernels.conv import Geometry
from alexnet_jax.kernels.normalization import Response
from alexnet_jax.kernels.select import Arrays, choose, platforms
from alexnet_jax.models.checks import check_convolution, check_normalization, check_pooling


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
    window = kernel.shape[0], kernel.shape[1]
    geometry = Geometry(window, stride, (padding, padding), groups, precision)
    return _compute("conv2d", (images, kernel), (geometry,))


def local_response_norm(
    x: jax.Array, k: float, alpha: float, beta: float, size: int, groups: int = 1
) -> jax.Array:
    """Normalize across channels, as `alexnet_jax.models.ops.local_response_norm` does."""
    check_normalization(x.shape[-1], size, groups)
    grouped = x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)
    response = Response(k, alpha, beta, size, axes=(-1,))
    return _compute("local_response_norm", (grouped,), (response,)).reshape(x.shape)


def spatial_response_norm(x: jax.Array, alpha: float, beta: float, size: int) -> jax.Array:
    """Normalize each map, as `alexnet_jax.models.ops.spatial_response_norm` does."""
    response = Response(1.0, alpha, beta, size, axes=(1, 2))
    return _compute("spatial_response_norm", (x,), (response,))


def max_pool(x: jax.Array, window: int, stride: int) -> jax.Array:
    """Take the maximum over windows, as `alexnet_jax.models.ops.max_pool` does."""
    check_pooling(x.shape, window)
    return _compute("max_pool", (x,), (window, stride))


def relu(x: jax.Array) -> jax.Array:
    """Return the larger of each number and 0."""
    return _compute("relu", (x,), ())


def connect(
    x: jax.Array,
    kernel: jax.Array,
    groups: int,
    precision: lax.Precision,
    result_dtype: DTypeLike,
) -> jax.Array:
    """Multiply in groups, as `alexnet_jax.models.ops.connect` does."""
    return _compute("connect", (x, kernel), (groups, precision, result_dtype))


@partial(jax.custom_vjp, nondiff_argnums=(0, 2))
def _compute(operation: str, arrays: Arrays, settings: tuple) -> jax.Array:
    return _lower("compute", operation, arrays, settings)


def _forward(operation: str, arrays: Arrays, settings: tuple) -> tuple[jax.Array, Any]:
    result, kept = _lower("forward", operation, arrays, settings)
    return result, (arrays, kept)


def _backward(operation: str, settings: tuple, saved: Any, gradient: jax.Array) -> tuple[Arrays]:
    arrays, kept = saved
    return (_lower("gradients", operation, arrays, settings, (*kept, gradient)),)


_compute.defvjp(_forward, _backward)


def _lower(part: str, operation: str, arrays: Arrays, settings: tuple, more: Arrays = ()) -> Any:
    """Compute a part of the form of the platform that the program is lowered for."""
    parts = tuple(
        (platform, getattr(choose(operation, platform, arrays, settings), part))
        for platform in platforms(operation)
    )
    return _compute_on(parts, settings, (*arrays, *more))


# Called outside `jit`, as by `model.init`, a form is one program, and not one for each operation in
# it. In a program, nothing changes: `inline`.
@partial(jax.jit, static_argnums=(0, 1), inline=True)
def _compute_on(parts: tuple[tuple[str, Callable], ...], settings: tuple, operands: Arrays) -> Any:
    """Apply the function of the platform, of all that `parts` names, to the operands."""

    def bind(function: Callable) -> Callable:
        return lambda *arrays: function(*arrays, *settings)

    functions = dict(parts)
    if len(set(functions.values())) == 1:
        return bind(parts[0][1])(*operands)
    return lax.platform_dependent(
        *operands, **{platform: bind(function) for platform, function in parts}
    )
