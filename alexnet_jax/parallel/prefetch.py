"""Batches as the devices want them: there already when a step asks."""

from collections.abc import Iterator
from functools import partial

import jax
from jax.sharding import Mesh

from alexnet_jax.data.stream import Batch, Batches, read_and_send
from alexnet_jax.parallel.device_cache import DeviceCache
from alexnet_jax.parallel.mesh import rows_of_process, to_devices


def prefetch_to_device(
    batches: Batches, start: int, threads: int, mesh: Mesh
) -> Iterator[dict[str, jax.Array]]:
    """Yield batches on the devices, from number `start` on.

    The next ones are read and sent while a step runs. A batch is yielded once it has arrived, so
    the time that this takes is all that the loop ever waits for data.

    Args:
        batches: of training or evaluation.
        start: number of the first.
        threads: how many work at the rows.
        mesh: the devices; each gets its rows, and each process reads only those of its devices.
    """
    if isinstance(batches.pixels, DeviceCache):
        return batches.pixels.gather(batches, start)
    rows = rows_of_process(mesh, batches.batch_size)
    return read_and_send(batches, start, threads, partial(_send, mesh=mesh), rows)


def _send(batch: Batch, mesh: Mesh) -> dict[str, jax.Array]:
    return jax.block_until_ready(to_devices(batch, mesh))
