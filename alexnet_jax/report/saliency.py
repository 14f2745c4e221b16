"""Which pixels of an image a class depends on."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from alexnet_jax.training.experiment import Network

_BATCH = 8  # Of one compiled program.
_COPIES = 8
_NOISE = 0.1  # Standard deviation, as a share of the pixels' range.


class SaliencyMapper:
    """Computes how much each pixel of an image sways a class's logit.

    The gradient's largest magnitude over the colours (Simonyan et al., arXiv 1312.6034), averaged
    over noisy copies of the image (SmoothGrad, arXiv 1706.03825).
    """

    def __init__(self, network: Network, variables: Any) -> None:
        model, preprocessing = network.model, network.preprocessing

        def logit(pixels: jax.Array, classes: jax.Array) -> jax.Array:
            logits = model.apply(variables, preprocessing(pixels), train=False)
            return jnp.sum(jnp.take_along_axis(logits, classes[:, None], axis=1))

        def magnitude(pixels: jax.Array, classes: jax.Array) -> jax.Array:
            def add_noise(total: jax.Array, key: jax.Array) -> tuple[jax.Array, None]:
                noise = 255 * _NOISE * jax.random.normal(key, pixels.shape)
                return total + jnp.abs(jax.grad(logit)(pixels + noise, classes)).max(axis=-1), None

            keys = jax.random.split(jax.random.key(0), _COPIES)
            return jax.lax.scan(add_noise, jnp.zeros(pixels.shape[:3]), keys)[0]

        self._magnitude = jax.jit(magnitude)

    def __call__(self, crops: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Return maps float32 [N, s, s], from 0 to 1, for crops uint8 [N, s, s, 3] and int [N]."""
        maps = np.concatenate(
            [
                self._map_batch(crops[start : start + _BATCH], classes[start : start + _BATCH])
                for start in range(0, len(crops), _BATCH)
            ]
        )
        # The few strongest pixels would leave the others invisible.
        ceiling = np.quantile(maps, 0.99, axis=(1, 2), keepdims=True)
        return np.clip(maps / np.maximum(ceiling, np.finfo(np.float32).tiny), 0, 1)

    def _map_batch(self, crops: np.ndarray, classes: np.ndarray) -> np.ndarray:
        pixels = np.zeros((_BATCH, *crops.shape[1:]), np.float32)
        chosen = np.zeros(_BATCH, np.int32)
        pixels[: len(crops)], chosen[: len(crops)] = crops, classes
        return np.asarray(self._magnitude(pixels, chosen))[: len(crops)]
