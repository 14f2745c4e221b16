"""The activations of a trained network's layers for image files."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from alexnet_jax.data.preprocessing import center_crop
from alexnet_jax.parallel.mesh import split_over_data, to_devices
from alexnet_jax.parallel.partitioned_ops import partition_ops
from alexnet_jax.prediction.activations import (
    activation_shapes,
    capture_activations,
    check_layers,
)
from alexnet_jax.prediction.batches import compute_ahead, read_batches
from alexnet_jax.runs.trained import open_trained


@dataclass(frozen=True, eq=False)
class Extractor:
    """Layers of a trained network."""

    # Images uint8 [B, S, S, 3], RGB -> float32 [B, ...] by layer, of the center crop, which may
    # still be computed when it returns.
    activations: Callable[[np.ndarray], dict[str, jax.Array]]
    shapes: dict[str, tuple[int, ...]]  # Of the activations of one image, by layer.
    image_size: int  # S.
    batch_multiple: int  # B is a multiple of it: the number of devices.
    max_megapixels: float  # Larger images are refused.


@dataclass(frozen=True, eq=False)
class Features:
    """The activations of some images."""

    paths: list[Path]  # Of the N images that could be read.
    activations: dict[str, np.ndarray]  # Float32 [N, ...] by layer.
    problems: list[tuple[Path, str]]  # The images that could not be read, and why.


def make_extractor(
    workdir: Path, layers: Sequence[str], checkpoint: str | None = None
) -> Extractor:
    """Load a checkpoint of a workdir; UserError for an unknown layer, and as `load_trained`."""
    trained = open_trained(workdir, checkpoint)
    network, data, mesh = trained.network, trained.config.data, trained.mesh
    shapes = activation_shapes(network.model, data.crop_size)
    check_layers(layers, list(shapes))
    model, split = partition_ops(network.model, mesh), split_over_data(mesh)

    @partial(jax.jit, in_shardings=(None, split), out_shardings=split)
    def capture(variables: Any, images: jax.Array) -> dict[str, jax.Array]:
        crops = network.preprocessing(center_crop(images, data.crop_size))
        return capture_activations(model, variables, crops, layers)

    def activations(images: np.ndarray) -> dict[str, jax.Array]:
        return capture(trained.state.variables, to_devices({"image": images}, mesh)["image"])

    return Extractor(
        activations,
        {layer: shapes[layer] for layer in layers},
        data.image_size,
        mesh.size,
        data.max_megapixels,
    )


def extract(extractor: Extractor, paths: Iterable[Path]) -> Iterator[Features]:
    """Yield the features of images, some at a time, in the order of `paths`."""
    batches = read_batches(
        paths, extractor.image_size, extractor.max_megapixels, extractor.batch_multiple
    )
    for batch, started in compute_ahead(extractor.activations, batches):
        read = [row for row, problem in enumerate(batch.problems) if problem is None]
        problems = zip(batch.paths, batch.problems, strict=True)
        yield Features(
            paths=[batch.paths[row] for row in read],
            activations={layer: np.asarray(found)[read] for layer, found in started.items()},
            problems=[(path, problem) for path, problem in problems if problem is not None],
        )
