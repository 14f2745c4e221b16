"""The training set's mean image and colour statistics: computed once, kept beside the records."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from alexnet_jax.data.builders.data_dir_lock import data_dir_lock
from alexnet_jax.data.dataset_info import data_set_name
from alexnet_jax.data.image_source import ImageSource
from alexnet_jax.data.pixel_store.manifest import MANIFEST, Manifest
from alexnet_jax.data.records import dataset_option
from alexnet_jax.errors import UserError
from alexnet_jax.system.atomic_write import atomic_file
from alexnet_jax.system.bounded_map import bounded_map
from alexnet_jax.system.disk_space import full_disk_reported
from alexnet_jax.system.folder_lock import LockHeldError
from alexnet_jax.system.progress import Progress
from alexnet_jax.system.untrusted_file import load_arrays

_IMAGES_PER_TASK = 32
_SECONDS_BETWEEN_LOOKS = 2.0


@dataclass(frozen=True)
class Statistics:
    """The mean that is subtracted from the network's input, and the axes of the colour noise.

    Attributes:
        mean_image: float32 [S, S, 3], RGB, 0-255.
        pca_eigenvectors: float32 [3, 3], a column an eigenvector of the pixels' RGB covariance; the
            component of largest magnitude of each is positive.
        pca_std: float32 [3], the standard deviation along each axis, 0-255, decreasing: the
            eigenvalue's square root, which is what 2012's code scales its draws with.
        count: number of images that they come from.
    """

    mean_image: np.ndarray
    pca_eigenvectors: np.ndarray
    pca_std: np.ndarray
    count: int


def compute_statistics(
    pixels: ImageSource, progress: Callable[[int], None] = lambda images: None
) -> Statistics:
    """Compute the statistics of a split's images; `progress` receives numbers of images.

    The sums are exact integers, so neither threads nor order can change the result.
    """
    size = pixels.image_size
    image_sum = np.zeros((size, size, 3), np.int64)
    products = np.zeros((3, 3), np.int64)
    starts = range(0, len(pixels), _IMAGES_PER_TASK)
    for count, task_sum, task_products in bounded_map(partial(_sum_images, pixels), starts):
        image_sum += task_sum
        products += task_products
        progress(count)
    total = len(pixels) * size * size
    # Python's integers: total * products exceeds 64 bits, and the subtraction must cancel exactly.
    channels = image_sum.sum(axis=(0, 1)).astype(object)
    scatter = total * products.astype(object) - np.outer(channels, channels)
    eigenvalues, axes = np.linalg.eigh((scatter / total**2).astype(np.float64))
    eigenvalues, axes = eigenvalues[::-1], axes[:, ::-1]
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(3)]
    return Statistics(
        mean_image=(image_sum / len(pixels)).astype(np.float32),
        pca_eigenvectors=(axes * np.sign(largest)).astype(np.float32),
        # Rounding can leave an eigenvalue of a grey data set just below zero.
        pca_std=np.sqrt(np.maximum(eigenvalues, 0)).astype(np.float32),
        count=len(pixels),
    )


def save_statistics(statistics: Statistics, directory: Path) -> Path:
    """Write `statistics_{size}.npz` into the records' directory, atomically."""
    path = _path(directory, len(statistics.mean_image))
    with (
        full_disk_reported(directory, path.name),
        atomic_file(path) as unfinished,
        unfinished.open("wb") as file,
    ):
        np.savez(
            file,
            mean_image=statistics.mean_image,
            color_axes=statistics.pca_eigenvectors,
            color_std=statistics.pca_std,
            count=statistics.count,
        )
        file.flush()
        os.fsync(file.fileno())
    return path


def make_statistics(pixels: ImageSource, directory: Path) -> Statistics:
    """Compute the statistics of a training split, with a progress bar, and save them."""
    what = f"statistics of {pixels.image_size}x{pixels.image_size} pixels"
    with Progress(what, len(pixels), "images") as progress:
        statistics = compute_statistics(pixels, progress.advance)
    save_statistics(statistics, directory)
    return statistics


def has_statistics(directory: Path, size: int) -> bool:
    """Return whether the statistics for images of `size` pixels have been saved."""
    return _path(directory, size).is_file()


def statistics_directory(pixels: ImageSource, workdir: Path | None) -> Path:
    """Return the directory for the statistics of a training split.

    It is that of the records, or the run's workdir where the data cannot be written.
    """
    if workdir is None or has_statistics(pixels.directory, pixels.image_size):
        return pixels.directory
    return pixels.directory if os.access(pixels.directory, os.W_OK) else workdir


def add_statistics(pixels: ImageSource, data_dir: Path, workdir: Path | None) -> None:
    """Compute and save the statistics of a training split if there are none.

    The lock of `data_dir` lets one process at a time compute; the others wait.
    """
    directory, waited = statistics_directory(pixels, workdir), False
    if directory == workdir and not has_statistics(directory, pixels.image_size):
        directory.mkdir(parents=True, exist_ok=True)
        make_statistics(pixels, directory)
    while not has_statistics(directory, pixels.image_size):
        try:
            with data_dir_lock(data_dir):
                if not has_statistics(directory, pixels.image_size):
                    make_statistics(pixels, directory)
        except LockHeldError as error:
            if not waited:
                print(f"waiting for statistics of the data: {error}", file=sys.stderr)
            waited = True
            time.sleep(_SECONDS_BETWEEN_LOOKS)


def load_statistics(directory: Path, size: int, count: int | None = None) -> Statistics:
    """Read the statistics for images of `size` pixels; check the number of images if given.

    Raises:
        UserError: there are none for this size, they are damaged, or come from other images.
    """
    path = _path(directory, size)
    if not path.is_file():
        raise UserError(f"{path} is missing; make it with: {_prepare_command(directory, size)}")
    try:
        arrays = load_arrays(path)
        mean, axes, std = found = [arrays[key] for key in ("mean_image", "color_axes", "color_std")]
        if (shapes := [array.shape for array in found]) != [(size, size, 3), (3, 3), (3,)]:
            raise ValueError(f"arrays of {[list(shape) for shape in shapes]} for {size} pixels")
        if not all(np.isfinite(array).all() for array in found):
            raise ValueError("numbers that are not finite")
        statistics = Statistics(mean, axes, std, int(arrays["count"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} cannot be read ({error}); remove it, then: {_prepare_command(directory, size)}"
        ) from error
    if count is not None and statistics.count != count:
        raise UserError(
            f"{path} comes from {statistics.count:,} images, the training split has {count:,}; "
            f"remove it, then: {_prepare_command(directory, size)}"
        )
    return statistics


def _sum_images(pixels: ImageSource, start: int) -> tuple[int, np.ndarray, np.ndarray]:
    """Return one task's number of images, their int64 sum, and [3, 3] sum of channel products."""
    indices = range(start, min(start + _IMAGES_PER_TASK, len(pixels)))
    size = pixels.image_size
    images = np.empty((len(indices), size, size, 3), np.uint8)
    pixels.read_into(indices, images, np.empty(len(indices), np.int32))
    products = np.zeros((3, 3), np.int64)
    for image in images:
        # float64 holds integers to 2^53 exactly; one image's sums stay below size^2 * 2^16.
        values = image.reshape(-1, 3).astype(np.float64)
        products += (values.T @ values).astype(np.int64)
    return len(indices), images.sum(axis=0, dtype=np.int64), products


def _path(directory: Path, size: int) -> Path:
    return directory / f"statistics_{size}.npz"


def _prepare_command(directory: Path, size: int) -> str:
    manifest = directory / MANIFEST
    if manifest.is_file():  # Of a pixel store.
        name, store, directory = Manifest.load(manifest).data_set, " --store_only", directory.parent
    else:
        name, store = data_set_name(directory), ""
    # DATA_DIR/NAME/VERSION; a name that the description claims may have more parts than the path.
    data_dir = Path(*directory.parts[: -2 - name.count("/")])
    return (
        f"python -m alexnet_jax.prepare --dataset={dataset_option(name)} --data_dir={data_dir} "
        f"--image_size={size}{store}"
    )
