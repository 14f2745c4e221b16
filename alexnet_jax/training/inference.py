"""Inference with trained networks: evaluation on a validation split, classification of files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from alexnet_jax.data.images import read_image, read_image_file
from alexnet_jax.errors import UserError
from alexnet_jax.evaluation.metrics import NotFiniteError
from alexnet_jax.evaluation.scoring import score, view_probabilities
from alexnet_jax.parallel.mesh import make_data_mesh, to_devices
from alexnet_jax.parallel.prefetch import prefetch_to_device
from alexnet_jax.parallel.runtime import configure_jax
from alexnet_jax.training.data_facts import check_same_classes
from alexnet_jax.training.experiment import host_threads, make_validation
from alexnet_jax.training.network import TrainedNetwork, load_trained

_CLASSES_SHOWN = 5
_IMAGES_AT_ONCE = 32


def evaluate_workdirs(
    workdirs: Sequence[str], views: str, data_dir: str | None = None, checkpoint: str | None = None
) -> dict[str, dict[str, float | int]]:
    """Evaluate networks, their probabilities averaged, on the first one's validation split.

    Args:
        workdirs: one per network; all must have been trained on the same data set.
        views: "center" or "ten_crop", which includes the scores of the centre.
        data_dir: of the data set, if it is not where the first run found it.
        checkpoint: of each workdir, as for `load_trained`.

    Returns:
        By kind of view: all `METRICS` of evaluation/metrics.py, and count.
    """
    configure_jax()
    mesh = make_data_mesh()
    networks = [load_trained(Path(workdir), mesh, checkpoint) for workdir in workdirs]
    config = networks[0].config
    for workdir, network in zip(workdirs, networks, strict=True):
        check_same_task(workdirs[0], networks[0], workdir, network)
    if data_dir is not None:
        config.data.dir = data_dir
    validation = make_validation(config, mesh)
    for workdir in workdirs:
        check_same_classes(Path(workdir), validation.pixels)
    batches = prefetch_to_device(validation, 0, host_threads(config), mesh)
    predictors = [network.predict for network in networks]
    try:
        return score(predictors, batches, validation.count, views, mesh, workdirs)
    except NotFiniteError as error:
        raise NotFiniteError(f"{error}: give another --checkpoint") from error


def check_same_task(
    first: str, expected: TrainedNetwork, workdir: str, found: TrainedNetwork
) -> None:
    """Raise UserError unless two networks have the same data set, image size and classes."""
    here, there = found.config.data, expected.config.data
    problems = [
        f"{workdir} was trained with data.{key}={here[key]}, {first} with {there[key]}"
        for key in ("name", "image_size")
        if here[key] != there[key]
    ]
    ours, theirs = expected.class_names, found.class_names
    if len(ours) != len(theirs):
        problems.append(f"{workdir} has {len(theirs)} classes, {first} has {len(ours)}")
    problems += [
        f"class {label} is {other!r} in {workdir}, {one!r} in {first}"
        for label, (one, other) in enumerate(zip(ours, theirs, strict=False))
        if one != other
    ]
    if problems:
        raise UserError(f"{problems[0]}: they cannot be evaluated together")


def classify_images(
    workdir: Path, paths: Sequence[Path], checkpoint: str | None = None
) -> Iterator[tuple[Path, list[tuple[str, float]] | str]]:
    """Yield the most probable classes of each image, with their probabilities, over ten crops.

    Only one batch of images is in memory at a time.

    Args:
        workdir: of a run.
        paths: of the images.
        checkpoint: as for `load_trained`.

    Yields:
        The image's path, and its classes or the reason why it cannot be read as an image.
    """
    configure_jax()
    mesh = make_data_mesh()
    trained = load_trained(workdir, mesh, checkpoint)
    data = trained.config.data
    # Unused rows fill up the last batch, so that it divides over the devices.
    rows = -(-min(len(paths), _IMAGES_AT_ONCE) // mesh.size) * mesh.size
    for start in range(0, len(paths), rows):
        images = np.zeros((rows, data.image_size, data.image_size, 3), np.uint8)
        part = paths[start : start + rows]
        problems = [
            _read_into(path, row, data.max_megapixels)
            for path, row in zip(part, images, strict=False)
        ]
        averages = view_probabilities(
            [trained.predict], to_devices({"image": images}, mesh)["image"], "ten_crop"
        )
        probabilities = np.asarray(averages["ten_crop"])
        if not np.isfinite(probabilities).all():
            raise NotFiniteError(
                f"{workdir} predicts numbers that are not finite: give another --checkpoint"
            )
        best = np.argsort(-probabilities, axis=1)[:, :_CLASSES_SHOWN]
        for path, problem, row, order in zip(part, problems, probabilities, best, strict=False):
            classes = [(trained.class_names[label], float(row[label])) for label in order]
            yield path, problem or classes


def _read_into(path: Path, row: np.ndarray, max_megapixels: float) -> str | None:
    """Fill `row`, uint8 [S, S, 3], with an image; return the reason if it cannot be read."""
    try:
        data = read_image_file(path, max_megapixels)
        read_image(data, len(row), out=row, max_megapixels=max_megapixels)
    except ValueError as error:
        return str(error)
    return None
