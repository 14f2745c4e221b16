"""The training set's mean image and colour axes, computed once and kept beside the records."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path

import numpy as np

from alexnet_jax.atomic_write import atomic_file
from alexnet_jax.data.bounded_map import bounded_map
from alexnet_jax.data.image_source import ImageSource
from alexnet_jax.data.progress import Progress
from alexnet_jax.data.records import dataset_option
from alexnet_jax.data.store_manifest import MANIFEST, Manifest, data_set_name
from alexnet_jax.disk_space import full_disk_reported
from alexnet_jax.errors import UserError
from alexnet_jax.untrusted_file import load_arrays

_IMAGES_PER_TASK = 32


@dataclass(frozen=True)
class Statistics:
    """What the network's input is normalised and its colours are jittered with.

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


@dataclass(frozen=True)
class _Sums:
    """Exact sums over images: int64, so neither threads nor order can change the result."""

    image: np.ndarray  # [S, S, 3]
    products: np.ndarray  # [3, 3], over all pixels, of channel times channel
    count: int

    def __add__(self, other: "_Sums") -> "_Sums":
        return _Sums(
            self.image + other.image, self.products + other.products, self.count + other.count
        )


def compute_statistics(
    pixels: ImageSource, progress: Callable[[int], None] = lambda images: None
) -> Statistics:
    """Compute the statistics of a split's images.

    Args:
        pixels: the training split, decoded or stored.
        progress: told how many more images are done.
    """
    starts = range(0, len(pixels), _IMAGES_PER_TASK)
    sums: list[_Sums] = []
    for part in bounded_map(partial(_sum_images, pixels), starts):
        sums = [reduce(_Sums.__add__, [*sums, part])]
        progress(part.count)
    return _finish(sums[0])


def save_statistics(statistics: Statistics, directory: Path) -> Path:
    """Write `statistics_{size}.npz` into the records' directory; all of it or nothing."""
    path = _path(directory, statistics.mean_image.shape[0])
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


def make_statistics(pixels: ImageSource, directory: Path) -> None:
    """Compute the statistics of a training split, tell the user how far it is, and save them."""
    what = f"statistics of {pixels.image_size}x{pixels.image_size} pixels"
    with Progress(what, len(pixels), "images") as progress:
        statistics = compute_statistics(pixels, progress.advance)
    save_statistics(statistics, directory)


def has_statistics(directory: Path, size: int) -> bool:
    """Say whether the statistics for images of `size` pixels have been saved."""
    return _path(directory, size).is_file()


def load_statistics(directory: Path, size: int, count: int | None = None) -> Statistics:
    """Read what `save_statistics` wrote.

    Args:
        directory: of the records.
        size: side of the images in pixels.
        count: the training split's number of images, where it should be checked.

    Raises:
        UserError: there are none for this size, or they come from other images.
    """
    path = _path(directory, size)
    if not path.is_file():
        raise UserError(f"{path} is missing; make it with: {_prepare_command(directory, size)}")
    try:
        arrays = load_arrays(path)
        statistics = Statistics(
            arrays["mean_image"],
            arrays["color_axes"],
            arrays["color_std"],
            int(arrays["count"]),
        )
        _check_shapes(statistics, size)
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


def _check_shapes(statistics: Statistics, size: int) -> None:
    found = [statistics.mean_image, statistics.pca_eigenvectors, statistics.pca_std]
    if [array.shape for array in found] != [(size, size, 3), (3, 3), (3,)]:
        raise ValueError(f"arrays of {[list(array.shape) for array in found]} for {size} pixels")
    if not all(np.isfinite(array).all() for array in found):
        raise ValueError("numbers that are not finite")


def _sum_images(pixels: ImageSource, start: int) -> _Sums:
    """Add up the images of one task, `start` the first of them."""
    indices = range(start, min(start + _IMAGES_PER_TASK, len(pixels)))
    size = pixels.image_size
    images = np.empty((len(indices), size, size, 3), np.uint8)
    pixels.read_into(indices, images, np.empty(len(indices), np.int32))
    products = np.zeros((3, 3), np.int64)
    for image in images:
        # float64 holds integers to 2^53 exactly; one image's sums stay below size^2 * 2^16.
        values = image.reshape(-1, 3).astype(np.float64)
        products += (values.T @ values).astype(np.int64)
    return _Sums(images.sum(axis=0, dtype=np.int64), products, len(indices))


def _finish(sums: _Sums) -> Statistics:
    pixels = sums.count * sums.image.shape[0] * sums.image.shape[1]
    # Python's integers: n * products exceeds 64 bits, and the subtraction must cancel exactly.
    products = sums.products.astype(object)
    channels = sums.image.sum(axis=(0, 1)).astype(object)
    scatter = pixels * products - np.outer(channels, channels)
    covariance = (scatter / pixels**2).astype(np.float64)
    eigenvalues, axes = np.linalg.eigh(covariance)
    eigenvalues, axes = eigenvalues[::-1], axes[:, ::-1]
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(3)]
    return Statistics(
        mean_image=(sums.image / sums.count).astype(np.float32),
        pca_eigenvectors=(axes * np.sign(largest)).astype(np.float32),
        # Rounding can leave an eigenvalue of a grey data set just below zero.
        pca_std=np.sqrt(np.maximum(eigenvalues, 0)).astype(np.float32),
        count=sums.count,
    )


def _path(directory: Path, size: int) -> Path:
    return directory / f"statistics_{size}.npz"


def _prepare_command(directory: Path, size: int) -> str:
    manifest = directory / MANIFEST
    if manifest.is_file():  # Of a pixel store.
        name, store = Manifest.load(manifest).data_set, " --store_only"
        directory = directory.parent
    else:
        name, store = data_set_name(directory), ""
    # DATA_DIR/NAME/VERSION; a name that the description claims may have more parts than the path.
    data_dir = Path(*directory.parts[: -2 - name.count("/")])
    return (
        f"python -m alexnet_jax.prepare --dataset={dataset_option(name)} --data_dir={data_dir} "
        f"--image_size={size}{store}"
    )
