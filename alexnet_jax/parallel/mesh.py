"""The mesh of devices, and the sharding of batches.

Every mesh has the axis "data". Each layout but `data` adds a second axis, named for what it divides
besides or instead of the batch (see parallel/sharding_rules.py). Neighbors on the second
axis are neighbors in the list of devices, so a short axis stays inside a machine.
"""

from collections.abc import Mapping, Sequence

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from alexnet_jax.errors import UserError

DATA_AXIS = "data"
MODEL_AXIS = "model"  # Images in the convolutions, units in the fully connected layers.
COLUMN_AXIS = "column"  # The network's groups; each has all images of the batch.
SHARD_AXIS = "shard"  # Images, and slices of the kernels and their momentum.

# Each layout's second axis.
LAYOUTS = {"data": None, "hybrid": MODEL_AXIS, "columns": COLUMN_AXIS, "fsdp": SHARD_AXIS}


def make_mesh(
    layout: str = "data", model_axis: int | None = None, devices: Sequence[jax.Device] | None = None
) -> Mesh:
    """Arrange devices, by default all, for one of `LAYOUTS`.

    The second axis has the size `model_axis`; None: all devices, for `columns` the two columns.

    Raises:
        UserError: there is no such layout, or `model_axis` does not divide the devices.
    """
    devices = jax.devices() if devices is None else devices
    if layout not in LAYOUTS:
        raise UserError(f"no layout {layout!r}; the known ones: {', '.join(LAYOUTS)}")
    second = LAYOUTS[layout]
    if second is None:
        if model_axis not in (None, 1):
            raise UserError(
                f"layout 'data' has no second axis for parallel.model_axis={model_axis}; "
                f"leave it unset, or choose {', '.join(list(LAYOUTS)[1:])}"
            )
        axes = {DATA_AXIS: len(devices)}
    else:
        size = model_axis or (2 if second == COLUMN_AXIS else len(devices))
        if len(devices) % size:
            fitting = [str(n) for n in range(1, len(devices) + 1) if len(devices) % n == 0]
            raise UserError(
                f"a {second} axis of {size} does not divide {len(devices)} devices; "
                f"parallel.model_axis can be {', '.join(fitting)}"
            )
        axes = {DATA_AXIS: len(devices) // size, second: size}
    # JAX's default axis type, Explicit, needs sharding types in the model code.
    axis_types = (AxisType.Auto,) * len(axes)
    return jax.make_mesh(tuple(axes.values()), tuple(axes), axis_types=axis_types, devices=devices)


def make_data_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Return a one-axis mesh over `devices`, by default all."""
    return make_mesh("data", devices=devices)


def second_axis(mesh: Mesh) -> str | None:
    """Return the name of the axis beside "data"; None if there is none."""
    return next((name for name in mesh.axis_names if name != DATA_AXIS), None)


def replicated(mesh: Mesh) -> NamedSharding:
    """Return the sharding of an array that every device holds whole."""
    return NamedSharding(mesh, P())


def row_axes(mesh: Mesh) -> tuple[str, ...]:
    """Return the axes over which a batch is divided: all but the columns'."""
    return tuple(name for name in mesh.axis_names if name != COLUMN_AXIS)


def split_over_data(mesh: Mesh) -> NamedSharding:
    """Return the sharding of a batch: its first dimension divided over the devices."""
    return NamedSharding(mesh, P(row_axes(mesh)))


def check_batch_divides(batch_size: int, devices: int, key: str) -> None:
    """Raise UserError, naming the nearest sizes that fit, unless `devices` divide the batch."""
    if batch_size % devices:
        below = batch_size // devices * devices
        fitting = " and ".join(str(size) for size in (below, below + devices) if size > 0)
        raise UserError(
            f"{key}={batch_size} does not divide over {devices} devices; {fitting} would"
        )


def rows_of_process(mesh: Mesh, batch_size: int) -> np.ndarray:
    """Return the rows of a global batch on this process's devices, int64, ascending."""
    slices = split_over_data(mesh).addressable_devices_indices_map((batch_size,)).values()
    return np.unique(np.concatenate([np.arange(batch_size)[rows] for rows in slices]))


def to_devices(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Start sending this process's rows of a batch (see `rows_of_process`) to its devices."""
    sharding = split_over_data(mesh)
    return {
        name: jax.make_array_from_process_local_data(sharding, rows) for name, rows in batch.items()
    }
