"""The layers of 2012 that linen does not have: normalisation, pooling, dropout as they were."""

import itertools
from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax import lax


def local_response_norm(
    x: jax.Array,
    k: float = 2.0,
    alpha: float = 2e-5,
    beta: float = 0.75,
    size: int = 5,
    groups: int = 1,
) -> jax.Array:
    """Normalise across channels (paper §3.3): x_i / (k + alpha·Σ_j x_j²)^beta.

    j runs over the `size` channels around i, clipped at the edges, and stays inside i's group:
    in 2012 a group was what one GPU held. `alpha` multiplies the sum; give alpha/size for the
    convention of Caffe, PyTorch and the 2012 code, which divide by the window's size.

    Args:
        x: [..., C], any float dtype; the sums are taken in float32 or better: squares reach 1e5.
        k: added to the sum.
        alpha: factor of the sum.
        beta: exponent.
        size: odd number of channels in the window.
        groups: number of equal groups of channels that do not see each other.

    Returns:
        The shape and dtype of `x`.

    Raises:
        ValueError: `size` is even, or `groups` does not divide the channels.
    """
    channels = x.shape[-1]
    if size % 2 == 0:
        raise ValueError(f"size={size}: a window around a channel has an odd number of channels")
    if channels % groups:
        raise ValueError(f"{channels} channels do not divide into {groups} groups")
    grouped = x.reshape(*x.shape[:-1], groups, channels // groups)
    return _normalize(grouped, k, alpha, beta, size, (-1,)).reshape(x.shape)


def spatial_response_norm(x: jax.Array, alpha: float, beta: float, size: int) -> jax.Array:
    """Normalise each map by its own neighbourhood: x / (1 + alpha·Σx²)^beta.

    The second normalisation of conv2 in the 2012 code (`rnorm2`, not in the paper). The sum is
    over a `size` x `size` window around each pixel, clipped at the edges.

    Args:
        x: [B, H, W, C], any float dtype; the sums are taken in float32 or better.
        alpha: factor of the sum.
        beta: exponent.
        size: odd side of the window.

    Returns:
        The shape and dtype of `x`.
    """
    return _normalize(x, 1.0, alpha, beta, size, (1, 2))


def max_pool(x: jax.Array, window: int = 3, stride: int = 2) -> jax.Array:
    """Take the maximum over windows (paper §3.4): [B, H, W, C] -> [B, H', W', C].

    H' = (H - window) // stride + 1; windows never leave the map. Of several inputs that equal a
    window's maximum the first receives its gradient, as in XLA and PyTorch; in the 2012 code each
    of them did (`kLocalMaxUndo`), which multiplies the gradient of flat regions.

    Raises:
        ValueError: the map is smaller than the window.
    """
    if min(x.shape[1:3]) < window:
        raise ValueError(
            f"a {window}x{window} pooling window does not fit a map of {x.shape[1]}x{x.shape[2]}; "
            "give the network larger crops"
        )
    return _max_over_windows(x, window, stride)


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
        rate: probability that a unit is zeroed in training.
        inverted: scale the kept units by 1/(1-rate) in training (today's habit) instead of all
            units by 1-rate in evaluation (2012).
        train: whether to drop.
        key: of the random masks; unused in evaluation.
        positions: int32 [B], of the images in the global batch; None: 0 to B - 1. An image's mask
            depends on the key and its position alone, however the batch is divided.

    Returns:
        The shape and dtype of `x`.
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


def _at_least_float32(x: jax.Array) -> jax.Array:
    return x if jnp.finfo(x.dtype).bits >= 32 else x.astype(jnp.float32)


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


@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _max_over_windows(x: jax.Array, window: int, stride: int) -> jax.Array:
    """Take the maxima; for their gradient the place of each in its window is kept, a byte each.

    XLA's own gradient is a scatter, which on CPUs runs on one core: 162 ms for conv1 of `original`,
    batch 32. Its `reduce_window` takes 15 to 26 ms where these maxima of slices take 3 to 4.
    """
    return reduce(jnp.maximum, _pixels_of_windows(x, window, stride))


def _max_forward(
    x: jax.Array, window: int, stride: int
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    height, width = _between_first_pixels(x, window, stride)

    def include_row(
        row: jax.Array | int, so_far: tuple[jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array]:
        largest, place = so_far
        rows = lax.dynamic_slice_in_dim(x, row, height, axis=1)[:, ::stride]
        for column in range(window):
            pixel = rows[:, :, column : column + width : stride]
            number = jnp.asarray(row * window + column, jnp.int8)
            place = jnp.where(pixel > largest, number, place)
            largest = jnp.maximum(largest, pixel)
        return largest, place

    def in_a_loop(largest: jax.Array, place: jax.Array) -> tuple[jax.Array, jax.Array]:
        # Else XLA's CPU backend finds each place nine times over, in its fusion of the gradient.
        return lax.fori_loop(0, window, include_row, (largest, place))

    def at_once(largest: jax.Array, place: jax.Array) -> tuple[jax.Array, jax.Array]:
        for row in range(window):
            largest, place = include_row(row, (largest, place))
        return largest, place

    first = x[:, :height:stride, :width:stride]
    start = first, jnp.zeros(first.shape, jnp.int8)
    largest, place = lax.platform_dependent(*start, cpu=in_a_loop, default=at_once)
    return largest, (x, place)


def _max_backward(
    window: int, stride: int, saved: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array]:
    x, place = saved
    covered = [stride * (count - 1) + 1 for count in place.shape[1:3]]
    total = jnp.zeros_like(x)
    for number, offset in enumerate(itertools.product(range(window), repeat=2)):
        edges = [
            (first, side - size - first, stride - 1)
            for first, side, size in zip(offset, x.shape[1:3], covered, strict=True)
        ]
        # For each pixel the window in which it has this number, if there is one.
        of_window = partial(lax.pad, padding_config=[(0, 0, 0), *edges, (0, 0, 0)])
        holds = of_window(place, jnp.int8(-1)) == number
        total += jnp.where(holds, of_window(gradient, jnp.zeros((), x.dtype)), 0)
    return (total,)


_max_over_windows.defvjp(_max_forward, _max_backward)


def _between_first_pixels(x: jax.Array, window: int, stride: int) -> tuple[int, ...]:
    """Return the rows and columns from the first window's first pixel to the last's, inclusive."""
    return tuple((side - window) // stride * stride + 1 for side in x.shape[1:3])


def _pixels_of_windows(x: jax.Array, window: int, stride: int) -> list[jax.Array]:
    """Return the first pixel of every window, [B, H', W', C], then the second, row by row."""
    height, width = _between_first_pixels(x, window, stride)
    return [
        x[:, row : row + height : stride, column : column + width : stride]
        for row, column in itertools.product(range(window), repeat=2)
    ]


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
