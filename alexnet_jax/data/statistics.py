"""The training set's mean image and color statistics, read from beside the records."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alexnet_jax.data.image_source import ImageSource
from alexnet_jax.errors import UserError
from alexnet_jax.system.untrusted_file import load_arrays


@dataclass(frozen=True)
class Statistics:
    """The mean that is subtracted from the network's input, and the axes of the color noise.

    Attributes:
        mean_image: Mean image, float32 [S, S, 3], RGB, 0-255.
        pca_eigenvectors: Eigenvectors of the pixels' RGB covariance, float32 [3, 3], one per
            column; the component of largest magnitude of each is positive.
        pca_std: Standard deviation along each axis, float32 [3], 0-255, decreasing: the square root
            of the eigenvalue. The 2012 code scales its draws with it.
        count: Number of images behind the statistics.
    """

    mean_image: np.ndarray
    pca_eigenvectors: np.ndarray
    pca_std: np.ndarray
    count: int


def has_statistics(directory: Path, size: int) -> bool:
    """Return whether the statistics for images of `size` pixels have been saved."""
    return statistics_path(directory, size).is_file()


def statistics_directory(pixels: ImageSource, workdir: Path | None) -> Path:
    """Return the directory for the statistics of a training split.

    It is that of the records, or the run's workdir where the data cannot be written.
    """
    if workdir is None or has_statistics(pixels.directory, pixels.image_size):
        return pixels.directory
    return pixels.directory if os.access(pixels.directory, os.W_OK) else workdir


def load_statistics(directory: Path, size: int, count: int | None = None) -> Statistics:
    """Read the statistics for images of `size` pixels; check the number of images if given.

    Raises:
        UserError: there are none for this size, they are damaged, or come from other images.
    """
    path = statistics_path(directory, size)
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


def statistics_path(directory: Path, size: int) -> Path:
    """Return the file for the statistics of images of `size` pixels."""
    return directory / f"statistics_{size}.npz"


def _prepare_command(directory: Path, size: int) -> str:
    from alexnet_jax.data.builders.commands import statistics_command  # Only messages need it.

    return statistics_command(directory, size)
