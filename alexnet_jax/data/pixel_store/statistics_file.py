"""Computes the statistics of a training split, once, and writes them beside its records."""

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from alexnet_jax.data.image_source import ImageSource
from alexnet_jax.data.statistics import (
    Statistics,
    has_statistics,
    statistics_directory,
    statistics_path,
)
from alexnet_jax.system.atomic_write import atomic_file
from alexnet_jax.system.bounded_map import bounded_map
from alexnet_jax.system.data_dir_lock import data_dir_lock
from alexnet_jax.system.disk_space import full_disk_reported
from alexnet_jax.system.folder_lock import LockHeldError
from alexnet_jax.system.progress import Progress

_IMAGES_PER_TASK = 32
_SECONDS_BETWEEN_LOOKS = 2.0


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
        # Rounding can leave an eigenvalue of a gray data set just below zero.
        pca_std=np.sqrt(np.maximum(eigenvalues, 0)).astype(np.float32),
        count=len(pixels),
    )


def save_statistics(statistics: Statistics, directory: Path) -> Path:
    """Write `statistics_{size}.npz` into the records' directory, atomically."""
    path = statistics_path(directory, len(statistics.mean_image))
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
