"""Prefetching of batches to the devices."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import jax
from jax.sharding import Mesh

from alexnet_jax.data.stream import Batch, Batches, read_and_send
from alexnet_jax.parallel.mesh import rows_of_process, to_devices


@runtime_checkable
class OnDevices(Protocol):
    """An image source that the devices hold: `device_store.device_cache.DeviceCache`."""

    def gather(self, batches: Batches, start: int) -> Iterator[dict[str, jax.Array]]:
        """Yield batches from number `start` on, gathered by the devices."""


def prefetch_to_device(
    batches: Batches, start: int, threads: int, mesh: Mesh
) -> Iterator[dict[str, jax.Array]]:
    """Yield batches on the devices, from number `start` on; the next ones are read meanwhile.

    A batch is yielded once its transfer is complete, so the loop waits for data only here. Each
    process reads the rows of its own devices.
    """
    if isinstance(batches.pixels, OnDevices):
        return batches.pixels.gather(batches, start)

    def send(batch: Batch) -> dict[str, jax.Array]:
        return jax.block_until_ready(to_devices(batch, mesh))

    rows = rows_of_process(mesh, batches.batch_size)
    return read_and_send(batches, start, threads, send, rows)
