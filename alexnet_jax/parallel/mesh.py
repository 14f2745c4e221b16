"""The devices as a mesh, and how the state and the batches lie on it."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from alexnet_jax.errors import UserError

DATA_AXIS = "data"


def make_data_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Return a one-axis mesh over `devices`; over all of them if None."""
    devices = jax.devices() if devices is None else devices
    # JAX's default axis type is Explicit, which asks for sharding types in the model code.
    axis_types = (AxisType.Auto,)
    return jax.make_mesh((len(devices),), (DATA_AXIS,), axis_types=axis_types, devices=devices)


def replicated(mesh: Mesh) -> NamedSharding:
    """Return the sharding of what every device holds whole: the state."""
    return NamedSharding(mesh, P())


def split_over_data(mesh: Mesh) -> NamedSharding:
    """Return the sharding of a batch: its first axis divided over the devices."""
    return NamedSharding(mesh, P(DATA_AXIS))


def check_batch_divides(batch_size: int, devices: int, key: str) -> None:
    """Raise UserError, naming the nearest sizes that fit, unless `devices` divide the batch."""
    if batch_size % devices:
        below = batch_size // devices * devices
        fitting = " and ".join(str(size) for size in (below, below + devices) if size > 0)
        raise UserError(
            f"{key}={batch_size} does not divide over {devices} devices; {fitting} would"
        )


def rows_of_process(mesh: Mesh, batch_size: int) -> np.ndarray:
    """Return which rows of a global batch this process's devices hold, int64, ascending.

    With one process all of them.
    """
    slices = split_over_data(mesh).addressable_devices_indices_map((batch_size,)).values()
    return np.unique(np.concatenate([np.arange(batch_size)[rows] for rows in slices]))


def to_devices(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Send a batch to the devices, each its rows; returns before the copy is done.

    Args:
        batch: the rows of this process, see `rows_of_process`.
        mesh: the devices.
    """
    sharding = split_over_data(mesh)
    return {
        name: jax.make_array_from_process_local_data(sharding, rows) for name, rows in batch.items()
    }
