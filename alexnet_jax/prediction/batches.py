"""Batches of image files, decoded by threads ahead of the devices."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from alexnet_jax.data.decoding.images import read_image, read_image_file
from alexnet_jax.data.decoding.reused_memory import BatchBuffers
from alexnet_jax.system.bounded_map import bounded_map

Result = TypeVar("Result")

_ROWS = 64  # Images at once: enough for the devices, and little to wait for.


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Some images, and why others could not be read.

    Attributes:
        images: uint8 [B, S, S, 3], RGB; zeros for images that cannot be read, and after the last.
        paths: Paths of the images in the first rows.
        problems: For each row, None or the reason why the image cannot be read.
    """

    images: np.ndarray
    paths: tuple[Path, ...]
    problems: list[str | None]


def read_batches(
    paths: Iterable[Path], image_size: int, max_megapixels: float, multiple: int
) -> Iterator[ImageBatch]:
    """Read images in batches of one shape; threads read the next ones meanwhile.

    Only a few batches are in memory at a time, for each thread one or two.

    Args:
        paths: Paths of the images.
        image_size: Side of the images in pixels.
        max_megapixels: Limit above which images are not read.
        multiple: Number of devices, which divides the batch.
    """
    paths = iter(paths)
    first = list(islice(paths, _ROWS))
    rows = -(-len(first) // multiple) * multiple
    if not rows:
        return
    buffers = BatchBuffers((rows, image_size, image_size, 3))

    def read(part: tuple[Path, ...]) -> ImageBatch:
        images = buffers.take()
        images[len(part) :] = 0
        problems = [_read_into(*each, max_megapixels) for each in zip(images, part, strict=False)]
        return ImageBatch(images, part, problems)

    everything = chain(first, paths)
    parts = iter(lambda: tuple(islice(everything, rows)), ())
    yield from bounded_map(read, parts, look_ahead=1)


def compute_ahead(
    compute: Callable[[np.ndarray], Result], batches: Iterable[ImageBatch]
) -> Iterator[tuple[ImageBatch, Result]]:
    """Yield each batch and `compute(images)`, once the next batch's computation has started.

    `compute` should return arrays that are still being computed, so that the devices have work
    while the caller handles a result.
    """
    previous = None
    for batch in batches:
        started = batch, compute(batch.images)
        if previous is not None:
            yield previous
        previous = started
    if previous is not None:
        yield previous


def _read_into(row: np.ndarray, path: Path, max_megapixels: float) -> str | None:
    """Fill `row`, uint8 [S, S, 3], with an image; return the reason if it cannot be read."""
    try:
        data = read_image_file(path, max_megapixels)
        read_image(data, len(row), out=row, max_megapixels=max_megapixels)
    except ValueError as error:
        row[:] = 0
        return str(error)
    return None
