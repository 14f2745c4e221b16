"""Images of a split in device memory: batches are gathered there, the host sends indices."""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from alexnet_jax.data.image_source import ImageSource
from alexnet_jax.data.stream import Batches
from alexnet_jax.errors import UserError
from alexnet_jax.parallel.mesh import replicated, split_over_data

_IMAGES_AT_ONCE = 1024  # Images per transfer to the devices.
_BATCHES_AT_ONCE = 64  # Batches whose indices are sent together.


class DeviceCache:
    """The images and labels of a split, whole on every device.

    Attributes:
        source: the source of the images.
        directory, num_classes, class_names, image_size, fingerprint: as in `ImageSource`.
    """

    def __init__(self, pixels: ImageSource, mesh: Mesh) -> None:
        """Copy `pixels` to the devices of `mesh`; UserError if they do not fit."""
        self.directory = pixels.directory
        self.num_classes = pixels.num_classes
        self.class_names = pixels.class_names
        self.image_size = pixels.image_size
        self.fingerprint = pixels.fingerprint
        self.source = pixels
        self._mesh = mesh
        _check_fits(len(pixels), pixels.image_size, mesh)
        self._images, self._labels = _put(pixels, mesh)
        self._gather = jax.jit(_gather, out_shardings=split_over_data(mesh))

    def __len__(self) -> int:
        return len(self.source)

    def read_into(
        self, indices: Sequence[int] | np.ndarray, images: np.ndarray, labels: np.ndarray
    ) -> None:
        """Read images on the host, from their source."""
        self.source.read_into(indices, images, labels)

    def gather(self, batches: Batches, start: int) -> Iterator[dict[str, jax.Array]]:
        """Yield batches from number `start` on: image, label and mask, as from a host."""
        for first in range(start, len(batches), _BATCHES_AT_ONCE):
            numbers = range(first, min(first + _BATCHES_AT_ONCE, len(batches)))
            # Rows that are not filled have an index past the last image.
            shape = (_BATCHES_AT_ONCE, batches.batch_size)
            indices = np.full(shape, len(self.source), np.int32)
            for row, number in enumerate(numbers):
                examples = batches.indices(number)
                indices[row, : len(examples)] = examples
            sent = _replicate(indices, self._mesh)
            for row in range(len(numbers)):
                number_of_row = _replicate(np.array(row, np.int32), self._mesh)
                yield self._gather(self._images, self._labels, sent, number_of_row)


def _gather(
    images: jax.Array, labels: jax.Array, indices: jax.Array, row: jax.Array
) -> dict[str, jax.Array]:
    """Return the batch of the examples `indices[row]`; zeros for indices past the end."""
    examples = indices[row]
    return {
        "image": images.at[examples].get(mode="fill", fill_value=0),
        "label": labels.at[examples].get(mode="fill", fill_value=0),
        "mask": examples < len(images),
    }


def _put(pixels: ImageSource, mesh: Mesh) -> tuple[jax.Array, jax.Array]:
    """Send all images and labels, in parts, so that neither side holds them twice."""
    whole, size = replicated(mesh), pixels.image_size

    @partial(jax.jit, donate_argnums=0, out_shardings=whole)
    def insert(images: jax.Array, part: jax.Array, first: jax.Array) -> jax.Array:
        return jax.lax.dynamic_update_slice_in_dim(images, part, first, axis=0)

    shape = (len(pixels), size, size, 3)
    images = jax.jit(partial(jnp.zeros, shape, jnp.uint8), out_shardings=whole)()
    labels = np.empty(len(pixels), np.int32)
    for first in range(0, len(pixels), _IMAGES_AT_ONCE):
        rows = slice(first, min(first + _IMAGES_AT_ONCE, len(pixels)))
        indices = np.arange(rows.start, rows.stop)
        part = np.empty((len(indices), *shape[1:]), np.uint8)
        pixels.read_into(indices, part, labels[rows])
        images = jax.block_until_ready(insert(images, _replicate(part, mesh), np.int32(first)))
    return images, _replicate(labels, mesh)


def _replicate(array: np.ndarray, mesh: Mesh) -> jax.Array:
    return jax.make_array_from_process_local_data(replicated(mesh), array)


def _check_fits(count: int, image_size: int, mesh: Mesh) -> None:
    needed = count * (image_size**2 * 3 + 4)
    device = mesh.local_devices[0]
    statistics = device.memory_stats()
    if statistics is not None:
        free = statistics["bytes_limit"] - statistics["bytes_in_use"]
        where = f"device {device}"
    else:  # CPUs: all of this process's devices share the machine's memory.
        free = _available_memory() // len(mesh.local_devices)
        where = f"this machine's memory, for each of {len(mesh.local_devices)} CPU devices,"
    if needed > free:
        raise UserError(
            f"config.data.source='device': {count:,} images of {image_size} pixels are "
            f"{needed / 1e9:,.2f} GB, {where} has {free / 1e9:,.2f} GB free; give "
            "--config.data.source=store"
        )


def _available_memory() -> int:
    meminfo = Path("/proc/meminfo")  # On Linux: counts what the page cache would give back.
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
