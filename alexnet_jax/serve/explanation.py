"""What a network makes of one image: classes, the ten crops, conv1's responses, a saliency map."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from alexnet_jax.evaluation.views import CENTER, VIEWS, cut_view
from alexnet_jax.report.embedding import heat_uri, photo_uri, sheet_uri
from alexnet_jax.report.saliency import NOISE, as_heat, gradient_magnitude
from alexnet_jax.report.units import activate, layer_sums
from alexnet_jax.runs.trained import TrainedNetwork
from alexnet_jax.system.progress import announced

_TOP = 5
_COPIES = 3  # Noisy copies whose gradients are averaged: as many as an answer has time for.
_CROP_NAMES = [
    f"{place}{mirror}"
    for mirror in ("", ", mirrored")
    for place in ("top left", "top right", "center", "bottom left", "bottom right")
]
_RESPONSE_SIDE = 48  # Pixels of one of conv1's maps.


class Explainer:
    """Explains images with one compiled program, from any thread."""

    def __init__(self, trained: TrainedNetwork) -> None:
        """Compile the program."""
        network, self._variables = trained.network, trained.state.variables
        self.image_size = trained.config.data.image_size

        def explain(variables: Any, image: jax.Array) -> dict[str, jax.Array]:
            cut = [cut_view(image[None], number, network.crop_size) for number in VIEWS["ten_crop"]]
            views = jnp.concatenate(cut)
            sums = layer_sums(network.model, variables, network.preprocessing(views))
            *_, hidden, output = sums
            by_crop = jax.nn.softmax(sums[output])
            chosen = jnp.full(_COPIES, jnp.argmax(by_crop.mean(axis=0)))
            shape = (_COPIES, *views.shape[1:])
            noisy = views[CENTER][None].astype(jnp.float32) + NOISE * jax.random.normal(
                jax.random.key(0), shape
            )
            parts = {
                "crops": views,
                "by_crop": by_crop,
                "features": activate(network.model, sums[hidden][CENTER]).ravel(),
                "saliency": gradient_magnitude(network, variables, noisy, chosen).mean(axis=0),
            }
            if "conv1" in sums:
                parts["responses"] = jnp.maximum(sums["conv1"][CENTER].astype(jnp.float32), 0)
            return parts

        self._explain = jax.jit(explain)
        kind = f"serve {trained.config.model.name}"
        folder = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
        with announced("compiling the network", kind, folder):
            self(np.zeros((self.image_size, self.image_size, 3), np.uint8))

    def __call__(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Explain an image, uint8 [S, S, 3], S as in `image_size`.

        Returns:
            crops: uint8 [10, s, s, 3], the views of an evaluation; the center is `CENTER`.
            by_crop: float32 [10, classes], the probabilities of each view.
            saliency: float32 [s, s], how much each pixel of the center crop sways the answer.
            features: float32 [units], of the last hidden layer, for the center crop.
            responses: float32 [h, w, features], conv1's maps for the center crop, rectified;
                absent if the network has no conv1.
        """
        return dict(jax.device_get(self._explain(self._variables, image)))


def describe_explanation(
    parts: dict[str, np.ndarray], class_names: Sequence[str]
) -> dict[str, Any]:
    """Return what the page shows of an `Explainer`'s parts; pictures are data URIs."""
    center, by_crop = parts["crops"][CENTER], parts["by_crop"]
    probabilities = by_crop.mean(axis=0)
    best = np.argsort(-probabilities, kind="stable")[:_TOP]
    return {
        "photo": photo_uri(center, 224),
        "saliency": heat_uri(center, as_heat(parts["saliency"]), 224),
        "classes": [
            {"name": class_names[label], "probability": float(probabilities[label])}
            for label in best
        ],
        "crops": [
            {
                "photo": photo_uri(crop, 80),
                "place": place,
                "name": class_names[int(row.argmax())],
                "probability": float(row.max()),
            }
            for crop, row, place in zip(parts["crops"], by_crop, _CROP_NAMES, strict=True)
        ],
        "responses": _response_sheet(parts["responses"]) if "responses" in parts else None,
    }


def _response_sheet(responses: np.ndarray) -> str:
    """Return conv1's maps [h, w, features] side by side, the strongest response white."""
    light = 255 * np.sqrt(responses / max(float(responses.max()), 1e-20))
    step = max(1, len(responses) // _RESPONSE_SIDE)
    tiles = np.moveaxis(light[::step, ::step], -1, 0).astype(np.uint8)
    return sheet_uri(np.repeat(tiles[..., None], 3, axis=-1), columns=8)
