"""The network's operations in their plain forms, which XLA lowers as it likes.

What the tests and measurements hold the forms of `alexnet_jax.models` against. To train with them:

  python -m benchmarks.plain_forms --config=configs/demo.py --workdir=runs/plain
"""

import jax
import jax.numpy as jnp
from jax import lax

from alexnet_jax.models import alexnet


def conv2d(
    images: jax.Array,
    kernel: jax.Array,
    stride: int = 1,
    padding: tuple[int, int] = (0, 0),
    groups: int = 1,
    precision: lax.Precision = lax.Precision.HIGHEST,
) -> jax.Array:
    """Convolve: [B, H, W, C] -> [B, H', W', features]."""
    return lax.conv_general_dilated(
        images,
        kernel,
        (stride, stride),
        (padding, padding),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
        precision=precision,
    )


def local_response_norm(
    x: jax.Array, k: float, alpha: float, beta: float, size: int, groups: int
) -> jax.Array:
    """Normalise across channels in float32: x / (k + alpha·Σx²)^beta."""
    wide = x.astype(jnp.float32).reshape(*x.shape[:-1], groups, -1)
    window = (1,) * (wide.ndim - 1) + (size,)
    scale = k + alpha * _window_sum(jnp.square(wide), window)
    return (wide / scale**beta).reshape(x.shape).astype(x.dtype)


def spatial_response_norm(x: jax.Array, alpha: float, beta: float, size: int) -> jax.Array:
    """Normalise each map in float32: x / (1 + alpha·Σx²)^beta."""
    wide = x.astype(jnp.float32)
    scale = 1 + alpha * _window_sum(jnp.square(wide), (1, size, size, 1))
    return (wide / scale**beta).astype(x.dtype)


def max_pool(x: jax.Array, window: int, stride: int) -> jax.Array:
    """Take the maximum over windows; of equal ones the first receives the gradient."""
    sides, strides = (1, window, window, 1), (1, stride, stride, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, sides, strides, "VALID")


def use_plain_forms() -> None:
    """Let every network that is built from now on in this process use them."""
    for form in (conv2d, local_response_norm, spatial_response_norm, max_pool):
        setattr(alexnet, form.__name__, form)


def _window_sum(x: jax.Array, window: tuple[int, ...]) -> jax.Array:
    return lax.reduce_window(x, 0.0, lax.add, window, (1,) * x.ndim, "SAME")


if __name__ == "__main__":
    from alexnet_jax import command_line, main

    use_plain_forms()
    command_line.run(main.main, required=("config", "workdir"))
