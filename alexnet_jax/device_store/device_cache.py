"""Images of a split in the devices' memories; the host sends only the indices of each batch."""

import os
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from alexnet_jax.data.image_source import ImageSource
from alexnet_jax.data.pixel_store.reading import PixelStore
from alexnet_jax.data.stream import Batches
from alexnet_jax.device_store.image_exchange import (
    Placement,
    make_exchange,
    plan_exchange,
    split_over_all,
)
from alexnet_jax.errors import UserError
from alexnet_jax.parallel.mesh import replicated
from alexnet_jax.parallel.multihost import fail_together
from alexnet_jax.parallel.runtime import wait_on_cpus
from alexnet_jax.system.progress import Progress

_IMAGES_AT_ONCE = 1024  # Images that a process reads before it sends them to its devices.
_BATCHES_AT_ONCE = 64  # Batches whose exchange is planned and sent together.


class DeviceCache:
    """The images and labels of a split, an equal share of them on every device.

    Attributes:
        source: Source of the images.
        directory, num_classes, class_names, image_size, fingerprint: as in `ImageSource`.
    """

    def __init__(self, pixels: ImageSource, mesh: Mesh) -> None:
        """Send `pixels` to the devices of `mesh`; each process reads those of its own devices.

        Raises:
            UserError: they do not fit, or the pixel store's files are damaged.
        """
        self.directory = pixels.directory
        self.num_classes = pixels.num_classes
        self.class_names = pixels.class_names
        self.image_size = pixels.image_size
        self.fingerprint = pixels.fingerprint
        self.source = pixels
        self._mesh = mesh
        placement = Placement(len(pixels), mesh)
        fail_together(partial(_check, pixels, placement, mesh))
        self._images, self._labels = _load(pixels, placement, mesh)
        self._exchange = make_exchange(mesh)

    def __len__(self) -> int:
        return len(self.source)

    def read_into(
        self, indices: Sequence[int] | np.ndarray, images: np.ndarray, labels: np.ndarray
    ) -> None:
        """Read images on the host, from their source."""
        self.source.read_into(indices, images, labels)

    def gather(self, batches: Batches, start: int) -> Iterator[dict[str, jax.Array]]:
        """Yield batches from number `start` on: image, label and mask, as from a host."""
        over_devices = NamedSharding(self._mesh, P(None, self._mesh.axis_names))
        for first in range(start, len(batches), _BATCHES_AT_ONCE):
            numbers = range(first, min(first + _BATCHES_AT_ONCE, len(batches)))
            # Rows that are not filled have an index past the last image.
            indices = np.full((_BATCHES_AT_ONCE, batches.batch_size), len(self), np.int64)
            for row, number in enumerate(numbers):
                examples = batches.indices(number)
                indices[row, : len(examples)] = examples
            plan = plan_exchange(indices, len(self), self._mesh)
            send, take = (_distribute(part, over_devices) for part in plan)
            for row in range(len(numbers)):
                number_of_row = _distribute(np.array(row, np.int32), replicated(self._mesh))
                yield wait_on_cpus(
                    self._exchange(self._images, self._labels, send, take, number_of_row)
                )


def _load(pixels: ImageSource, placement: Placement, mesh: Mesh) -> tuple[jax.Array, jax.Array]:
    """Send this process's images and labels, in parts: neither side holds a second copy."""

    @partial(jax.jit, donate_argnums=0)
    def insert(array: jax.Array, part: jax.Array, first: jax.Array) -> jax.Array:
        return jax.lax.dynamic_update_slice_in_dim(array, part, first, axis=0)

    devices, size = placement.devices, pixels.image_size
    shape = (placement.rows, size, size, 3)
    images = [jnp.zeros(shape, jnp.uint8, device=device) for device in devices]
    labels = np.zeros((placement.rows, len(devices)), np.int32)
    rows_at_once = max(1, _IMAGES_AT_ONCE // len(devices))
    with Progress("loading images to the devices", placement.last - placement.first, "images") as p:
        for row in range(0, placement.rows, rows_at_once):
            rows = min(rows_at_once, placement.rows - row)
            first = placement.first + row * len(devices)
            indices = np.arange(first, min(first + rows * len(devices), placement.last))
            part = np.zeros((rows * len(devices), *shape[1:]), np.uint8)
            some_labels = labels[row : row + rows].reshape(-1)[: len(indices)]
            pixels.read_into(indices, part[: len(indices)], some_labels)
            for number, device in enumerate(devices):
                sent = jax.device_put(part[number :: len(devices)], device)
                images[number] = insert(images[number], sent, np.int32(row))
            jax.block_until_ready(images)
            p.advance(len(indices))
    parts = [jax.device_put(labels[:, n], device) for n, device in enumerate(devices)]
    return _join(images, mesh), _join(parts, mesh)


def _join(parts: list[jax.Array], mesh: Mesh) -> jax.Array:
    """Return the array whose parts on this process's devices are given."""
    shape = (mesh.size * len(parts[0]), *parts[0].shape[1:])
    return jax.make_array_from_single_device_arrays(shape, split_over_all(mesh), parts)


def _distribute(array: np.ndarray, sharding: NamedSharding) -> jax.Array:
    """Send each device its part of an array that every process has whole."""
    # Explicit transfers: the training loop's transfer guard refuses make_array_from_callback.
    places = sharding.addressable_devices_indices_map(array.shape)
    parts = [jax.device_put(array[place], device) for device, place in places.items()]
    return jax.make_array_from_single_device_arrays(array.shape, sharding, parts)


def _check(pixels: ImageSource, placement: Placement, mesh: Mesh) -> None:
    """Raise UserError unless each device has room for its share and a store's files are whole."""
    image_bytes = pixels.image_size**2 * 3 + 4
    needed = placement.rows * image_bytes
    device, local = mesh.local_devices[0], len(mesh.local_devices)
    if (statistics := device.memory_stats()) is not None:
        free = statistics["bytes_limit"] - statistics["bytes_in_use"]
        where = f"device {device}"
    else:  # CPUs: all of this process's devices share the machine's memory.
        free = _available_memory() // local
        where = f"this machine's memory, for each of {local} CPU devices,"
    if needed > free:
        raise UserError(
            f"config.data.source='device': {len(pixels):,} images of {pixels.image_size} pixels "
            f"are {len(pixels) * image_bytes / 1e9:,.2f} GB, {needed / 1e9:,.2f} GB on each of "
            f"{mesh.size} devices; {where} has {free / 1e9:,.2f} GB free; use more devices, or "
            "give --config.data.source=store"
        )
    if isinstance(pixels, PixelStore):
        pixels.verify(placement.first, placement.last)


def _available_memory() -> int:
    meminfo = Path("/proc/meminfo")  # On Linux: counts what the page cache would give back.
    text = meminfo.read_text() if meminfo.exists() else ""
    if found := re.search(r"^MemAvailable: +(\d+) kB", text, re.MULTILINE):
        return int(found[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
