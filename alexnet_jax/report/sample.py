"""Images of a split with what a network says about them, for the figures."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from alexnet_jax.data.image_source import ImageSource
from alexnet_jax.data.preprocessing import center_crop
from alexnet_jax.evaluation.scoring import view_probabilities
from alexnet_jax.parallel.mesh import to_devices
from alexnet_jax.report.units import LayerMaxima, watch_units
from alexnet_jax.runs.trained import TrainedNetwork
from alexnet_jax.system.progress import Progress

_BATCH = 64


@dataclass(frozen=True, eq=False)
class Sample:
    """N images and a network's answers.

    Attributes:
        crops: uint8 [N, s, s, 3], the center crops.
        labels: int32 [N].
        probabilities: float32 [N, classes] by kind of view; empty if not requested.
        features: float32 [N, units], activations of the last hidden layer for the center crop.
        maxima: Strongest activations of units for the center crops, by layer.
    """

    crops: np.ndarray
    labels: np.ndarray
    probabilities: dict[str, np.ndarray]
    features: np.ndarray
    maxima: dict[str, LayerMaxima]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def ranking(self, views: str) -> np.ndarray:
        """Return the classes of each image, int [N, classes], the most probable first."""
        return np.argsort(-self.probabilities[views], axis=1, kind="stable")


def spread_evenly(count: int, length: int) -> np.ndarray:
    """Return up to `count` different indices in [0, length), evenly spaced."""
    return np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(int))


def draw_sample(
    images: ImageSource,
    count: int,
    trained: TrainedNetwork,
    views: str | None,
    what: str,
) -> Sample:
    """Classify `count` images, evenly spaced over a split.

    Args:
        images: Images of the split.
        count: Number of images; all if the split has no more.
        trained: Network to apply.
        views: "center" or "ten_crop", which includes the center; None: features alone.
        what: Name of the work, for the progress bar.
    """
    watch = jax.jit(partial(watch_units, trained.network))
    indices = spread_evenly(count, len(images))
    devices = trained.mesh.size
    rows = -(-min(_BATCH, len(indices)) // devices) * devices
    parts: list[dict[str, Any]] = []
    with Progress(what, len(indices), "images") as progress:
        for start in range(0, len(indices), rows):
            chosen = indices[start : start + rows]
            parts.append(_look(images, chosen, rows, trained, watch, views))
            progress.advance(len(chosen))
    return Sample(**jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts))


def _look(
    images: ImageSource,
    chosen: np.ndarray,
    rows: int,
    trained: TrainedNetwork,
    watch: Callable[..., Any],
    views: str | None,
) -> dict[str, Any]:
    """Return the fields of a `Sample` for one batch; unused rows fill it up to `rows`."""
    size, count = images.image_size, len(chosen)
    pixels, labels = np.zeros((rows, size, size, 3), np.uint8), np.zeros(count, np.int32)
    images.read_into(chosen, pixels[:count], labels)
    on_devices = to_devices({"image": pixels}, trained.mesh)["image"]
    features, maxima = watch(trained.state.variables, on_devices)
    answers = {
        "probabilities": view_probabilities([trained.predict], on_devices, views) if views else {},
        "features": features.astype(jnp.float32),
        "maxima": maxima,
    }
    answers["crops"] = center_crop(pixels, trained.network.crop_size)
    answers = jax.tree.map(lambda array: array[:count], jax.device_get(answers))
    return {"labels": labels, **answers}
