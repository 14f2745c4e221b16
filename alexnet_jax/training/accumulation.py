"""Gradient accumulation over microbatches, for batches that do not fit the devices' memory."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from alexnet_jax.errors import UserError
from alexnet_jax.models import Spec
from alexnet_jax.parallel.mesh import check_batch_divides, row_axes


def accumulate_gradients(
    function: Callable[..., Any], rows: tuple[jax.Array, ...], num_microbatches: int, mesh: Mesh
) -> Any:
    """Average `function(*rows)`, whose results are means over rows, over consecutive microbatches.

    Each microbatch takes the same number of rows from every device of `mesh`, so no row moves.
    """
    if num_microbatches == 1:
        return function(*rows)
    axes = row_axes(mesh)
    holders = math.prod(mesh.shape[axis] for axis in axes)

    def divide(array: jax.Array) -> jax.Array:
        by_holder = array.reshape(holders, num_microbatches, -1, *array.shape[1:])
        by_part = by_holder.swapaxes(0, 1).reshape(num_microbatches, -1, *array.shape[1:])
        return lax.with_sharding_constraint(by_part, NamedSharding(mesh, P(None, axes)))

    def add(total: Any, part: tuple[jax.Array, ...]) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, function(*part)), None

    divided = tuple(divide(array) for array in rows)
    results = jax.eval_shape(function, *(array[0] for array in divided))
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), results)
    total, _ = lax.scan(add, zero, divided)
    return jax.tree.map(lambda leaf: leaf / num_microbatches, total)


def count_microbatches(
    batch_size: int, microbatch_size: int | None, devices: int, spec: Spec
) -> int:
    """Return the number of microbatches in a batch; 1 for `microbatch_size` None.

    Raises:
        UserError: microbatches do not make a whole batch, the devices do not divide them, or the
            network has batch normalization, whose statistics are of the whole batch.
    """
    if microbatch_size is None:
        return 1
    if any("batch_norm" in layer.after for layer in spec.convolutions):
        raise UserError(
            f"config.train.microbatch_size={microbatch_size}: batch normalization takes its "
            f"statistics over all {batch_size} images of a batch at once; leave it unset, or use "
            "more devices or a smaller batch"
        )
    check_batch_divides(microbatch_size, devices, "config.train.microbatch_size")
    if batch_size % microbatch_size:
        fitting = [
            str(size) for size in range(devices, batch_size + 1, devices) if batch_size % size == 0
        ]
        raise UserError(
            f"config.train.microbatch_size={microbatch_size} does not divide "
            f"config.train.batch_size={batch_size}; on {devices} devices {', '.join(fitting)} do"
        )
    return batch_size // microbatch_size
