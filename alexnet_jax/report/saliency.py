"""Which pixels of an image a class depends on."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from alexnet_jax.training.network import Network

_COPIES = 12
_NOISE = 0.1  # Standard deviation, as a share of the pixels' range.


def saliency_maps(
    network: Network, variables: Any, crops: np.ndarray, classes: np.ndarray
) -> np.ndarray:
    """Return how much each pixel sways a class's logit, float32 [B, s, s], 0 to 1 in each image.

    The gradient's largest magnitude over the colours (Simonyan et al., arXiv 1312.6034), averaged
    over noisy copies of the image (SmoothGrad, arXiv 1706.03825).

    Args:
        network: whose preprocessing the crops get.
        variables: of its model.
        crops: uint8 [B, s, s, 3].
        classes: int [B].
    """
    model, preprocessing = network.model, network.preprocessing

    def logit(pixels: jax.Array, chosen: jax.Array) -> jax.Array:
        logits = model.apply(variables, preprocessing(pixels), train=False)
        return jnp.sum(jnp.take_along_axis(logits, chosen[:, None], axis=1))

    @jax.jit
    def magnitude(pixels: jax.Array, chosen: jax.Array, key: jax.Array) -> jax.Array:
        noise = 255 * _NOISE * jax.random.normal(key, pixels.shape)
        return jnp.abs(jax.grad(logit)(pixels + noise, chosen)).max(axis=-1)

    pixels, chosen = jnp.asarray(crops, jnp.float32), jnp.asarray(classes, jnp.int32)
    keys = jax.random.split(jax.random.key(0), _COPIES)
    maps = np.mean([np.asarray(magnitude(pixels, chosen, key)) for key in keys], axis=0)
    # The few strongest pixels would leave the others invisible.
    ceiling = np.quantile(maps, 0.99, axis=(1, 2), keepdims=True)
    return np.clip(maps / np.maximum(ceiling, np.finfo(np.float32).tiny), 0, 1)


