"""Images made to excite one unit: gradient ascent on the pixels."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from alexnet_jax.data.preprocessing import center_crop
from alexnet_jax.report.units import layer_sums
from alexnet_jax.training.experiment import Network

_STEPS = 48
_RATE = 8.0  # Root mean square change of a pixel in a step, of 255.
_SHIFT = 4  # Pixels; the ascent moves the image so that no single alignment is favored.
_DECAY = 0.985  # Of the distance from the mean image, at each step.


def maximize_units(
    network: Network, variables: Any, units: Mapping[str, Sequence[int]]
) -> dict[str, np.ndarray]:
    """Return, by layer, an image for each of the units, uint8 [units, s, s, 3].

    Each step moves the pixels along the normalized gradient of the unit's sum, in the middle of its
    map, and smooths them a little (Yosinski et al., arXiv 1506.06579; the shifts are those of
    Mordvintsev, Olah and Tyka, 2015). All units of all layers rise in one batch.
    """
    model, preprocessing = network.model, network.preprocessing
    wanted = [(name, unit) for name, numbers in units.items() for unit in numbers]
    mean = center_crop(preprocessing.mean[None], network.crop_size)
    layers = list(units)
    which = jnp.array([layers.index(name) for name, _ in wanted])
    number = jnp.array([unit for _, unit in wanted])

    def excitement(pixels: jax.Array) -> jax.Array:
        sums = layer_sums(model, variables, preprocessing(pixels))
        rows = jnp.arange(len(wanted))
        by_layer = jnp.stack(
            [_middle(sums[name])[rows, number % sums[name].shape[-1]] for name in layers]
        )
        return jnp.sum(by_layer[which, rows])

    @jax.jit
    def ascend(pixels: jax.Array, key: jax.Array) -> jax.Array:
        def step(pixels: jax.Array, key: jax.Array) -> tuple[jax.Array, None]:
            down, right = jax.random.randint(key, (2,), -_SHIFT, _SHIFT + 1)
            moved = jnp.roll(pixels, (down, right), axis=(1, 2))
            gradient = jax.grad(excitement)(moved)
            size = jnp.sqrt(jnp.mean(gradient**2, axis=(1, 2, 3), keepdims=True))
            moved = moved + _RATE * gradient / jnp.maximum(size, 1e-20)
            pixels = jnp.roll(_smooth(moved), (-down, -right), axis=(1, 2))
            return jnp.clip(mean + _DECAY * (pixels - mean), 0, 255), None

        return jax.lax.scan(step, pixels, jax.random.split(key, _STEPS))[0]

    start = mean + 12 * jax.random.normal(jax.random.key(1), (len(wanted), *mean.shape[1:]))
    made = np.asarray(ascend(jnp.clip(start, 0, 255), jax.random.key(0)))
    made = made.round().astype(np.uint8)
    ends = np.cumsum([len(numbers) for numbers in units.values()])
    return dict(zip(layers, np.split(made, ends[:-1]), strict=True))


def _middle(sums: jax.Array) -> jax.Array:
    """Return the sums in the middle of the maps, [B, units]."""
    if sums.ndim == 2:
        return sums
    return sums[:, sums.shape[1] // 2, sums.shape[2] // 2]


def _smooth(pixels: jax.Array) -> jax.Array:
    """Mix each pixel a little with its four neighbors."""
    around = sum(
        (jnp.roll(pixels, shift, axis) for axis in (1, 2) for shift in (-1, 1)),
        start=jnp.zeros_like(pixels),
    )
    return 0.9 * pixels + 0.025 * around
