"""What a network makes of one image: classes, the ten crops, conv1's responses, a saliency map."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from alexnet_jax.evaluation.views import CENTER, VIEWS, cut_view
from alexnet_jax.report.units import activate, layer_sums
from alexnet_jax.runs.trained import TrainedNetwork

_COPIES = 3  # Noisy copies whose gradients are averaged: as many as an answer has time for.
_NOISE = 0.1  # Their standard deviation, as a share of the pixels' range.


@dataclass(frozen=True, eq=False)
class Explanation:
    """A network's answer for one image, and what it rests on.

    Attributes:
        crops: uint8 [10, s, s, 3], the views of an evaluation; the centre is `CENTER`.
        by_crop: float32 [10, classes], the probabilities of each view.
        responses: float32 [h, w, features], conv1's maps for the centre crop, rectified; None
            if the network has no conv1.
        features: float32 [units], of the last hidden layer, for the centre crop.
        saliency: float32 [s, s], 0 to 1, how much each pixel of the centre crop sways the answer.
    """

    crops: np.ndarray
    by_crop: np.ndarray
    responses: np.ndarray | None
    features: np.ndarray
    saliency: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """The average over the ten crops, float32 [classes]."""
        return np.asarray(self.by_crop.mean(axis=0))


class Explainer:
    """Explains images with one compiled program, from any thread."""

    def __init__(self, trained: TrainedNetwork) -> None:
        """Compile the program."""
        network, self._variables = trained.network, trained.state.variables
        self.image_size = trained.config.data.image_size
        crop_size, model = trained.config.data.crop_size, network.model

        def explain(variables: Any, image: jax.Array) -> dict[str, jax.Array]:
            cut = [cut_view(image[None], number, crop_size) for number in VIEWS["ten_crop"]]
            views = jnp.concatenate(cut)
            sums = layer_sums(model, variables, network.preprocessing(views))
            *_, hidden, output = sums
            by_crop = jax.nn.softmax(sums[output])
            chosen = jnp.argmax(by_crop.mean(axis=0))
            parts = {
                "crops": views,
                "by_crop": by_crop,
                "features": activate(model, sums[hidden][CENTER]).ravel(),
                "saliency": _saliency(trained, variables, views[CENTER], chosen),
            }
            if "conv1" in sums:
                parts["responses"] = jnp.maximum(sums["conv1"][CENTER].astype(jnp.float32), 0)
            return parts

        self._explain = jax.jit(explain)
        self(np.zeros((self.image_size, self.image_size, 3), np.uint8))

    def __call__(self, image: np.ndarray) -> Explanation:
        """Explain an image, uint8 [S, S, 3], S as in `image_size`."""
        parts = jax.device_get(self._explain(self._variables, image))
        ceiling = max(float(np.quantile(parts["saliency"], 0.99)), 1e-20)
        saliency = np.clip(parts.pop("saliency") / ceiling, 0, 1)
        return Explanation(saliency=saliency, responses=parts.pop("responses", None), **parts)


def _saliency(
    trained: TrainedNetwork, variables: Any, crop: jax.Array, chosen: jax.Array
) -> jax.Array:
    """Return the gradient of a class's logit by each pixel, as `report.saliency` computes it."""
    network = trained.network

    def logit(pixels: jax.Array) -> jax.Array:
        logits = network.model.apply(variables, network.preprocessing(pixels), train=False)
        return jnp.sum(logits[:, chosen])

    noise = 255 * _NOISE * jax.random.normal(jax.random.key(0), (_COPIES, *crop.shape))
    gradients = jax.grad(logit)(crop[None].astype(jnp.float32) + noise)
    return jnp.abs(gradients).max(axis=-1).mean(axis=0)
