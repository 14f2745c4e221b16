"""Where the images of a split are in the devices' memories, and their exchange in each step.

Each device holds an equal share of the images. For a batch, each device sends every other device
the images that it needs, by one all-to-all of uint8 pixels. All-to-all has a fixed number of slots
for each pair of devices; the host knows the order of the images and counts the slots.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from alexnet_jax.errors import UserError
from alexnet_jax.parallel.mesh import split_over_data

# Slots are rounded up to a multiple of this part of their mean, so that few programs compile.
_ROUNDING = 4


class Placement:
    """The device and row of each image.

    The images of a process are consecutive, so that it reads few files. They alternate between its
    devices, so that consecutive images, as in an evaluation, come from all of them.

    Attributes:
        rows: Images on each device; the last ones are padding.
        first, last: The images of this process are `first` to `last - 1`.
    """

    def __init__(self, count: int, mesh: Mesh) -> None:
        """Place `count` images; UserError where a process has more devices than another."""
        processes = np.array([device.process_index for device in mesh.devices.flat])
        numbers, counts = np.unique(processes, return_counts=True)
        if counts.min() < counts.max():
            raise UserError(
                "config.data.source='device' needs equally many devices on all processes, which "
                f"have {', '.join(map(str, counts))}; give --config.data.source=store"
            )
        # Positions in the mesh, by process and by number in it.
        self._positions = np.stack([np.flatnonzero(processes == number) for number in numbers])
        self.rows = -(-count // mesh.size)
        self.per_process = self.rows * self._positions.shape[1]
        mine = int(np.searchsorted(numbers, jax.process_index()))
        self.devices = [mesh.devices.flat[position] for position in self._positions[mine]]
        self.first = min(mine * self.per_process, count)
        self.last = min((mine + 1) * self.per_process, count)

    def find(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions in the mesh, and the rows there, of the images `indices`."""
        process, within = np.divmod(indices, self.per_process)
        row, number = np.divmod(within, self._positions.shape[1])
        return self._positions[process, number], row


class Plan(NamedTuple):
    """What the D devices send each other for G batches, b images of each on a device.

    Attributes:
        send: int32 [G, D, D, slots], rows to send, by owner and by destination; unused slots send
            row 0.
        take: int32 [G, D, b], for each image of a batch, its place among the D * slots images
            received; D * slots means padding.
    """

    send: np.ndarray
    take: np.ndarray


def split_over_all(mesh: Mesh) -> NamedSharding:
    """Return the sharding of an array whose first dimension is divided over every device."""
    return NamedSharding(mesh, P(mesh.axis_names))


def plan_exchange(indices: np.ndarray, count: int, mesh: Mesh) -> Plan:
    """Plan the exchange of batches, so that each gets its rows as `split_over_data` divides them.

    `indices`, int [G, B], are of the split's `count` images, placed by `Placement`; `count` or more
    is padding.
    """
    slices = split_over_data(mesh).devices_indices_map(indices.shape[1:])
    columns = np.arange(indices.shape[1])
    wanted = indices[:, np.stack([columns[slices[device]] for device in mesh.devices.flat])]
    batch, destination, _ = np.ogrid[tuple(map(slice, wanted.shape))]
    there = wanted < count
    owner, row = Placement(count, mesh).find(np.where(there, wanted, 0))
    rank = _ranks(np.where(there, owner, mesh.size))
    rows = wanted.shape[2]
    step = -(-rows // (_ROUNDING * mesh.size))
    # On one device the slots are the rows of the batch.
    most = rows if mesh.size == 1 else int(rank[there].max(initial=0)) + 1
    slots = min(rows, -(-most // step) * step)
    send = np.zeros((len(indices), mesh.size, mesh.size, slots), np.int32)
    batch, destination = np.broadcast_arrays(batch, destination, wanted)[:2]
    send[batch[there], owner[there], destination[there], rank[there]] = row[there]
    take = np.where(there, owner * slots + rank, mesh.size * slots).astype(np.int32)
    return Plan(send, take)


def bytes_sent(plan: Plan, image_size: int) -> int:
    """Return the bytes that each device sends for a batch: images and labels."""
    devices, slots = plan.send.shape[2:]
    return (devices - 1) * slots * (image_size**2 * 3 + 4)


def make_exchange(mesh: Mesh) -> Callable[..., dict[str, jax.Array]]:
    """Return the compiled function that makes a batch of the images on the devices.

    Its arguments are:
        images: of all devices, uint8 [D * R, S, S, 3], `split_over_all`.
        labels: of all devices, int32 [D * R], `split_over_all`.
        send, take: of a `Plan`, divided over the devices in their second dimension.
        number: int32 [], the batch of the plan.

    Returns the batch as the host would send it; zeros where it is padded.
    """
    axes, out = P(mesh.axis_names), split_over_data(mesh)
    planned = P(None, mesh.axis_names)

    @partial(jax.jit, out_shardings=out)
    @partial(
        jax.shard_map,
        mesh=mesh,
        in_specs=(axes, axes, planned, planned, P()),
        out_specs=out.spec,
        check_vma=False,  # With columns, the devices of a row get the same images: not inferred.
    )
    def exchange(
        images: jax.Array, labels: jax.Array, send: jax.Array, take: jax.Array, number: jax.Array
    ) -> dict[str, jax.Array]:
        rows, taken = send[number, 0], take[number, 0]  # [D, slots] and [b]
        mask = taken < rows.size

        def fetch(held: jax.Array) -> jax.Array:
            if mesh.size == 1:  # Nothing to exchange: gathered once, as the batch has them.
                places = jnp.where(mask, rows[0], len(held))
                return held.at[places].get(mode="fill", fill_value=0)
            received = jax.lax.all_to_all(held[rows], mesh.axis_names, 0, 0, tiled=True)
            received = received.reshape(-1, *held.shape[1:])
            return received.at[taken].get(mode="fill", fill_value=0)

        return {"image": fetch(images), "label": fetch(labels), "mask": mask}

    return exchange


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return how many equal values precede each one along the last axis."""
    order = np.argsort(values, axis=-1, kind="stable")
    ordered = np.take_along_axis(values, order, -1)
    places = np.broadcast_to(np.arange(values.shape[-1]), values.shape)
    begins = np.diff(ordered, axis=-1, prepend=-1) != 0
    starts = np.maximum.accumulate(np.where(begins, places, 0), axis=-1)
    ranks = np.empty(values.shape, np.int64)
    np.put_along_axis(ranks, order, places - starts, -1)
    return ranks
