"""Trained networks at work: on a validation split, on files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from alexnet_jax.data.images import read_image
from alexnet_jax.errors import UserError
from alexnet_jax.evaluation.scoring import score, view_probabilities
from alexnet_jax.parallel.feed import feed
from alexnet_jax.parallel.mesh import make_data_mesh, to_devices
from alexnet_jax.parallel.runtime import configure_jax
from alexnet_jax.training.assembly import host_threads, make_validation
from alexnet_jax.training.trained import load_trained

_CLASSES_SHOWN = 5


def evaluate_workdirs(
    workdirs: Sequence[str], views: str, data_dir: str | None = None
) -> dict[str, dict[str, float | int]]:
    """Test networks together, their probabilities averaged, on the first one's validation split.

    Args:
        workdirs: one a network; all must have been trained on the same data set.
        views: "center" or "ten_crop", which gives the centre's numbers too.
        data_dir: where the data set lies, if not where the first run found it.

    Returns:
        By kind of view: loss, top1_error, top5_error (fractions), count.
    """
    configure_jax()
    mesh = make_data_mesh()
    networks = [load_trained(Path(workdir), mesh) for workdir in workdirs]
    config = networks[0].config
    for workdir, network in zip(workdirs, networks, strict=True):
        for key in ("name", "image_size"):
            if network.config.data[key] != config.data[key]:
                raise UserError(
                    f"{workdir} was trained with data.{key}={network.config.data[key]}, "
                    f"{workdirs[0]} with {config.data[key]}: they cannot be tested together"
                )
    if data_dir is not None:
        config.data.dir = data_dir
    validation = make_validation(config, mesh)
    batches = feed(validation, 0, host_threads(config), mesh)
    predictors = [network.predict for network in networks]
    return score(predictors, batches, validation.count, views, mesh)


def classify_images(
    workdir: Path, paths: Sequence[Path]
) -> list[tuple[Path, list[tuple[str, float]]]]:
    """Return the most probable classes of each image, with their probabilities, over ten crops.

    Raises:
        UserError: a file cannot be read as an image.
    """
    configure_jax()
    mesh = make_data_mesh()
    trained = load_trained(workdir, mesh)
    size = trained.config.data.image_size
    images = np.stack([_read_file(path, size) for path in paths])
    # Rows of zeros fill the batch up, so that it divides over the devices.
    filled = np.zeros((-(-len(images) // mesh.size) * mesh.size, size, size, 3), np.uint8)
    filled[: len(images)] = images
    on_devices = to_devices({"image": filled}, mesh)
    averages = view_probabilities([trained.predict], on_devices["image"], "ten_crop")
    probabilities = np.asarray(averages["ten_crop"])[: len(images)]
    best = np.argsort(-probabilities, axis=1)[:, :_CLASSES_SHOWN]
    return [
        (path, [(trained.class_names[label], float(row[label])) for label in order])
        for path, row, order in zip(paths, probabilities, best, strict=True)
    ]


def _read_file(path: Path, size: int) -> np.ndarray:
    try:
        return read_image(path.read_bytes(), size)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {error}") from error
