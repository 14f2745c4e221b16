"""Convolution, connected units, normalization, pooling, dropout in their plain forms.

`alexnet_jax.kernels.operations` has faster forms; `--config.model.kernels=plain` trains with these.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from alexnet_jax.models.checks import check_convolution, check_normalization, check_pooling

relu = jax.nn.relu


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
        stride: Pixels from one window to the next, in both directions.
        padding: Zeros before and after each spatial side.
        groups: Number of groups.
        precision: Precision of float32 products, here and in the gradients. HIGHEST is float32 on
            every platform; DEFAULT is TensorFloat-32 on GPUs since Ampere, bfloat16 on TPUs.

    Returns:
        [B, (H + sum(padding) - h) // stride + 1, and so for W, features].

    Raises:
        ValueError: the shapes do not fit.
    """
    check_convolution(images.shape, kernel.shape, stride, padding, groups)
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
    x: jax.Array, k: float, alpha: float, beta: float, size: int, groups: int = 1
) -> jax.Array:
    """Normalize across channels (paper §3.3): x_i / (k + alpha·Σ_j x_j²)^beta.

    j runs over the `size` channels around i, clipped at the edges, and stays inside i's group:
    in 2012 a group was what one GPU held. `alpha` multiplies the sum; give alpha/size for the
    convention of Caffe, PyTorch and the 2012 code, which divide by the window's size.

    Args:
        x: [..., C], any float dtype. Sums are in float32 or better, because squares reach 1e5.
        k: Constant added to the sum.
        alpha: Factor of the sum.
        beta: Exponent of the denominator.
        size: Odd number of channels in the window.
        groups: Number of equal groups of channels that do not see each other.

    Returns:
        the shape and dtype of `x`.

    Raises:
        ValueError: `size` is even, or `groups` does not divide the channels.
    """
    check_normalization(x.shape[-1], size, groups)
    grouped = x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)
    return _normalize(grouped, k, alpha, beta, (1,) * x.ndim + (size,)).reshape(x.shape)


def spatial_response_norm(x: jax.Array, alpha: float, beta: float, size: int) -> jax.Array:
    """Normalize each map, [B, H, W, C], over a square window: x / (1 + alpha·Σx²)^beta.

    The second normalization of conv2 in the 2012 code (`rnorm2`, not in the paper). The window of
    odd side `size` is clipped at the edges.
    """
    return _normalize(x, 1.0, alpha, beta, (1, size, size, 1))


def _normalize(
    x: jax.Array, k: float, alpha: float, beta: float, window: tuple[int, ...]
) -> jax.Array:
    wide = x.astype(np.promote_types(x.dtype, np.float32))
    sums = lax.reduce_window(jnp.square(wide), 0.0, lax.add, window, (1,) * x.ndim, "SAME")
    return (wide / (k + alpha * sums) ** beta).astype(x.dtype)


def max_pool(x: jax.Array, window: int, stride: int) -> jax.Array:
    """Take the maximum over windows (paper §3.4): [B, H, W, C] -> [B, H', W', C].

    H' = (H - window) // stride + 1; windows never leave the map. If several inputs equal a
    window's maximum, the first receives its gradient, as in XLA and PyTorch. In the 2012 code each
    of them did (`kLocalMaxUndo`), which multiplies the gradient of flat regions.

    Raises:
        ValueError: the map is smaller than the window.
    """
    check_pooling(x.shape, window)
    sides, strides = (1, window, window, 1), (1, stride, stride, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, sides, strides, "VALID")


def connect(
    x: jax.Array,
    kernel: jax.Array,
    groups: int,
    precision: lax.Precision,
    result_dtype: DTypeLike,
) -> jax.Array:
    """Multiply [B, H, W, C] or [B, inputs] with [inputs / groups, features]: [B, features].

    Group i of the units sees group i of the channels, flattened.
    """
    split = x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)
    flat = jnp.moveaxis(split, -2, 1).reshape(x.shape[0], -1)  # len(x) fails for a symbolic batch.
    # The kernel becomes `x`'s dtype only here, so that devices sum its gradient in float32.
    columns = (jnp.split(whole, groups, axis=-1) for whole in (flat, kernel.astype(x.dtype)))
    multiply = partial(jnp.matmul, precision=precision, preferred_element_type=result_dtype)
    return jnp.concatenate(list(map(multiply, *columns)), axis=-1)


def dropout(
    x: jax.Array,
    rate: float,
    inverted: bool,
    train: bool,
    key: jax.Array | None,
    positions: jax.Array | None = None,
) -> jax.Array:
    """Drop units (paper §4.2).

    Args:
        x: [B, ...].
        rate: Probability that a unit is zeroed in training.
        inverted: Whether to scale the kept units by 1/(1-rate) in training, as is usual today,
            instead of all units by 1-rate in evaluation (2012).
        train: Whether to drop units.
        key: Random key of the masks; unused in evaluation.
        positions: int32 [B], positions of the images in the global batch; None means 0 to B - 1. A
            mask depends on the key and the position alone, however the batch is divided.
    """
    if not train:
        return x if inverted else x * jnp.asarray(1.0 - rate, x.dtype)
    assert key is not None, "dropout in training needs a key"
    positions = jnp.arange(len(x)) if positions is None else positions

    def draw(position: jax.Array) -> jax.Array:
        return jax.random.bernoulli(jax.random.fold_in(key, position), 1.0 - rate, x.shape[1:])

    kept = jax.vmap(draw)(positions)
    scale = 1.0 / (1.0 - rate) if inverted else 1.0
    return jnp.where(kept, x * jnp.asarray(scale, x.dtype), jnp.zeros_like(x))
