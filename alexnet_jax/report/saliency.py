"""Which pixels of an image a class depends on."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from alexnet_jax.training.experiment import Network

NOISE = 25.5  # Standard deviation of the noise on pixels: a tenth of their range.
_BATCH = 8  # Of one compiled program.
_COPIES = 8


def gradient_magnitude(
    network: Network, variables: Any, pixels: jax.Array, classes: jax.Array
) -> jax.Array:
    """Return how much each pixel sways a class's logit, float32 [N, s, s].

    It is the gradient's largest magnitude over the colors (Simonyan et al., arXiv 1312.6034).

    Args:
        network: The model and its preprocessing.
        variables: Variables of the model.
        pixels: float32 [N, s, s, 3].
        classes: int [N], one per image.
    """

    def logit(pixels: jax.Array) -> jax.Array:
        logits = network.model.apply(variables, network.preprocessing(pixels), train=False)
        return jnp.sum(jnp.take_along_axis(logits, classes[:, None], axis=1))

    return jnp.abs(jax.grad(logit)(pixels)).max(axis=-1)


def as_heat(magnitudes: np.ndarray) -> np.ndarray:
    """Scale maps [..., s, s] to 0 to 1, the strongest hundredth of each map to 1.

    The few strongest pixels would leave the others invisible.
    """
    ceiling = np.quantile(magnitudes, 0.99, axis=(-2, -1), keepdims=True)
    return np.clip(magnitudes / np.maximum(ceiling, np.finfo(np.float32).tiny), 0, 1)


class SaliencyMapper:
    """Computes `gradient_magnitude` averaged over noisy copies (SmoothGrad, arXiv 1706.03825)."""

    def __init__(self, network: Network, variables: Any) -> None:
        def magnitude(pixels: jax.Array, classes: jax.Array) -> jax.Array:
            def add_noise(total: jax.Array, key: jax.Array) -> tuple[jax.Array, None]:
                noisy = pixels + NOISE * jax.random.normal(key, pixels.shape)
                return total + gradient_magnitude(network, variables, noisy, classes), None

            keys = jax.random.split(jax.random.key(0), _COPIES)
            return jax.lax.scan(add_noise, jnp.zeros(pixels.shape[:3]), keys)[0]

        self._magnitude = jax.jit(magnitude)

    def __call__(self, crops: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Return maps float32 [N, s, s], from 0 to 1, for crops uint8 [N, s, s, 3] and int [N]."""
        maps = []
        for start in range(0, len(crops), _BATCH):
            part = crops[start : start + _BATCH]
            pixels = np.zeros((_BATCH, *crops.shape[1:]), np.float32)
            chosen = np.zeros(_BATCH, np.int32)
            pixels[: len(part)], chosen[: len(part)] = part, classes[start : start + _BATCH]
            maps.append(np.asarray(self._magnitude(pixels, chosen))[: len(part)])
        return as_heat(np.concatenate(maps))
