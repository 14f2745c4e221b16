"""Response normalisation whose gradient keeps the input alone, and computes no power."""

from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax import lax

from alexnet_jax.kernels.checks import check_normalization


def local_response_norm(
    x: jax.Array,
    k: float = 2.0,
    alpha: float = 2e-5,
    beta: float = 0.75,
    size: int = 5,
    groups: int = 1,
) -> jax.Array:
    """Normalise across channels, as `alexnet_jax.models.ops.local_response_norm` does."""
    check_normalization(x.shape[-1], size, groups)
    grouped = x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)
    return _normalize(grouped, k, alpha, beta, size, (-1,)).reshape(x.shape)


def spatial_response_norm(x: jax.Array, alpha: float, beta: float, size: int) -> jax.Array:
    """Normalise each map, as `alexnet_jax.models.ops.spatial_response_norm` does."""
    return _normalize(x, 1.0, alpha, beta, size, (1, 2))


@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3, 4, 5))
def _normalize(
    x: jax.Array, k: float, alpha: float, beta: float, size: int, axes: tuple[int, ...]
) -> jax.Array:
    """Compute x / (k + alpha·Σx²)^beta in float32, the sum over a centred window along `axes`.

    Its gradient computes the sums once more, from `x`, which is all that is kept for it.
    """
    wide = _at_least_float32(x)
    scale = k + alpha * _window_sum(jnp.square(wide), size, axes)
    return (wide / _power(scale, beta)).astype(x.dtype)


def _normalize_forward(
    x: jax.Array, k: float, alpha: float, beta: float, size: int, axes: tuple[int, ...]
) -> tuple[jax.Array, jax.Array]:
    return _normalize(x, k, alpha, beta, size, axes), x


def _normalize_backward(
    k: float,
    alpha: float,
    beta: float,
    size: int,
    axes: tuple[int, ...],
    x: jax.Array,
    gradient: jax.Array,
) -> tuple[jax.Array]:
    wide, above = _at_least_float32(x), _at_least_float32(gradient)
    # Squared after padding, not before: else XLA sees that it has these sums from the forward pass,
    # and keeps them and what they lead to: 416 MB more for `original`, batch 128.
    squares = map(jnp.square, _shifted(wide, size, axes[0]))
    scale = k + alpha * _window_sum(reduce(jnp.add, squares), size, axes[1:])
    direct = above / _power(scale, beta)
    # Whoever has x in its window: the same windows, since they are centred.
    through_sums = _window_sum(direct * wide / scale, size, axes)
    return ((direct - 2 * alpha * beta * wide * through_sums).astype(x.dtype),)


_normalize.defvjp(_normalize_forward, _normalize_backward)


def _window_sum(x: jax.Array, size: int, axes: tuple[int, ...]) -> jax.Array:
    """Sum over a centred window of odd `size` along each of `axes`, clipped at the edges."""
    for axis in axes:
        x = reduce(jnp.add, _shifted(x, size, axis))
    return x


def _shifted(x: jax.Array, size: int, axis: int) -> list[jax.Array]:
    """Return the first number of every window, zero before the edge, then the second."""
    before_and_after = [(0, 0, 0)] * x.ndim
    before_and_after[axis] = (size // 2, size // 2, 0)
    padded = lax.pad(x, jnp.zeros((), x.dtype), before_and_after)
    length = x.shape[axis]
    return [lax.slice_in_dim(padded, i, i + length, axis=axis) for i in range(size)]


def _at_least_float32(x: jax.Array) -> jax.Array:
    return x if jnp.finfo(x.dtype).bits >= 32 else x.astype(jnp.float32)


def _power(x: jax.Array, beta: float) -> jax.Array:
    """Compute x^beta; for 2012's 3/4 from square roots, several times faster than `pow`.

    To divide by: a quotient is dear enough for XLA to write it once, where it would leave a factor
    to each of pooling's nine readers. `original` forward, batch 32, two cores: 140 ms instead of
    150 with a factor.
    """
    if beta == 0.75:
        root = lax.sqrt(x)
        return root * lax.sqrt(root)
    return x**beta
