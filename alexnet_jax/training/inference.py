"""Trained networks at work: on a validation split, on files."""

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
    workdirs: Sequence[str],
    views: str,
    data_dir: str | None = None,
    checkpoint: str | None = None,
) -> dict[str, dict[str, float | int]]:
    """Test networks together, their probabilities averaged, on the first one's validation split.

    Args:
        workdirs: one a network; all must have been trained on the same data set.
        views: "center" or "ten_crop", which gives the centre's numbers too.
        data_dir: where the data set lies, if not where the first run found it.
        checkpoint: of each workdir, as for `load_trained`.

    Returns:
        By kind of view: loss, top1_error, top5_error (fractions), count.
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
    """Raise UserError unless two networks tell the same classes, in images of the same set."""
    for key in ("name", "image_size"):
        if found.config.data[key] != expected.config.data[key]:
            raise UserError(
                f"{workdir} was trained with data.{key}={found.config.data[key]}, "
                f"{first} with {expected.config.data[key]}: they cannot be tested together"
            )
    ours, theirs = expected.class_names, found.class_names
    if len(ours) != len(theirs):
        raise UserError(
            f"{workdir} has {len(theirs)} classes, {first} has {len(ours)}: they cannot be tested "
            "together"
        )
    for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if one != other:
            raise UserError(
                f"class {number} is {other!r} in {workdir}, {one!r} in {first}: they cannot be "
                "tested together"
            )


def classify_images(
    workdir: Path, paths: Sequence[Path], checkpoint: str | None = None
) -> Iterator[tuple[Path, list[tuple[str, float]] | str]]:
    """Yield the most probable classes of each image, with their probabilities, over ten crops.

    Args:
        workdir: of a run.
        paths: the images' files.
        checkpoint: as for `load_trained`.

    Yields:
        The image's path, and its classes, or why it cannot be read as an image. However many
        images there are, only a batch of them is in memory.
    """
    configure_jax()
    mesh = make_data_mesh()
    trained = load_trained(workdir, mesh, checkpoint)
    data = trained.config.data
    size, max_megapixels = data.image_size, data.max_megapixels
    # Rows that are left over fill the batch up, so that it divides over the devices.
    rows = -(-min(len(paths), _IMAGES_AT_ONCE) // mesh.size) * mesh.size
    for start in range(0, len(paths), rows):
        images = np.zeros((rows, size, size, 3), np.uint8)
        part = paths[start : start + rows]
        problems = [
            _read_into(path, row, max_megapixels) for path, row in zip(part, images, strict=False)
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
    """Fill `row`, uint8 [S, S, 3], with an image; return why not where it cannot be read."""
    try:
        data = read_image_file(path, max_megapixels)
        read_image(data, len(row), out=row, max_megapixels=max_megapixels)
    except ValueError as error:
        return str(error)
    return None
