"""An explanation as JSON that the page shows."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from alexnet_jax.evaluation.views import CENTER
from alexnet_jax.report.embedding import heat_uri, photo_uri, sprite
from alexnet_jax.serve.explanation import Explanation
from alexnet_jax.serve.neighbors import Neighbors

_TOP = 5
_CROP_NAMES = [
    f"{place}{mirror}"
    for mirror in ("", ", mirrored")
    for place in ("top left", "top right", "centre", "bottom left", "bottom right")
]
_RESPONSE_SIDE = 48  # Pixels of one of conv1's maps.


def make_answer(
    explanation: Explanation, class_names: Sequence[str], neighbors: Neighbors
) -> dict[str, Any]:
    """Return what the page shows of an image; pictures are data URIs."""
    probabilities, center = explanation.probabilities, explanation.crops[CENTER]
    best = np.argsort(-probabilities, kind="stable")[:_TOP]
    return {
        "photo": photo_uri(center, 224),
        "saliency": heat_uri(center, explanation.saliency, 224),
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
            for crop, row, place in zip(
                explanation.crops, explanation.by_crop, _CROP_NAMES, strict=True
            )
        ],
        "responses": _response_sheet(explanation.responses),
        "neighbors": [asdict(neighbor) for neighbor in neighbors.nearest(explanation.features)],
        "neighbors_note": neighbors.note,
    }


def _response_sheet(responses: np.ndarray | None) -> str | None:
    """Return conv1's maps [h, w, features] side by side, the strongest response white."""
    if responses is None:
        return None
    light = 255 * np.sqrt(responses / max(float(responses.max()), 1e-20))
    step = max(1, len(responses) // _RESPONSE_SIDE)
    tiles = np.moveaxis(light[::step, ::step], -1, 0).astype(np.uint8)
    return photo_uri(sprite(np.repeat(tiles[..., None], 3, axis=-1), across=12), quality=75)
