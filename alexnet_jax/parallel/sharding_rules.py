"""Sharding of parameters: a short table of rules by path.

The momentum of a parameter is sharded as the parameter is. What no rule names is replicated.
"""

import re
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from alexnet_jax.errors import UserError
from alexnet_jax.models import Spec
from alexnet_jax.parallel.mesh import COLUMN_AXIS, LAYOUTS, MODEL_AXIS, SHARD_AXIS, second_axis

# By second axis: (pattern of "layer/kind", dimension that is divided over that axis). The output
# layer, whatever its number, is "output". Kernels are [h, w, inputs, features] or [inputs,
# features]. The output layer is divided by its inputs: they are where they were computed, 1,000
# classes need not divide, and its sums are smaller than they are.
_LARGEST = None  # The largest dimension that divides.
RULES: dict[str | None, tuple[tuple[str, int | None], ...]] = {
    None: (),
    MODEL_AXIS: ((r"output/kernel", 0), (r"fc\d+/kernel", 1), (r"fc\d+/bias", 0)),
    COLUMN_AXIS: (
        (r"output/kernel", 0),
        (r"conv\d+/kernel", 3),
        (r"fc\d+/kernel", 1),
        (r"(conv|fc)\d+/bias", 0),
    ),
    SHARD_AXIS: ((r".*/kernel", _LARGEST),),
}


def divided_dimension(mesh: Mesh, spec: Spec, path: str, shape: tuple[int, ...]) -> int | None:
    """Return the dimension of a parameter that is divided over the second axis, if any.

    Args:
        mesh: Mesh of devices.
        spec: Table of the network.
        path: Path of the parameter; it ends in layer/kind, such as "conv1/kernel".
        shape: Shape of the whole parameter.
    """
    axis = second_axis(mesh)
    layer, kind = ["", *path.split("/")][-2:]
    name = f"{'output' if layer == spec.output_name else layer}/{kind}"
    for pattern, dimension in RULES[axis]:
        if re.fullmatch(pattern, name):
            if dimension is not _LARGEST:
                return dimension
            fitting = [d for d, size in enumerate(shape) if size % mesh.shape[axis] == 0]
            return max(fitting, key=lambda d: shape[d], default=None)
    return None


def parameter_spec(mesh: Mesh, spec: Spec, path: str, shape: tuple[int, ...]) -> P:
    """Return the partition of the parameter at `path`; see `divided_dimension`."""
    dimension = divided_dimension(mesh, spec, path, shape)
    return P() if dimension is None else P(*(None,) * dimension, second_axis(mesh))


def infer_sharding(mesh: Mesh, spec: Spec, tree: Any) -> Any:
    """Return the sharding of each array of a tree: of parameters, or a whole `TrainState`."""

    def sharding(path: tuple, leaf: Any) -> NamedSharding:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        return NamedSharding(mesh, parameter_spec(mesh, spec, name, leaf.shape))

    return jax.tree_util.tree_map_with_path(sharding, tree)


def check_layout(mesh: Mesh, spec: Spec) -> None:
    """Raise UserError if the network cannot be partitioned over the mesh."""
    axis = second_axis(mesh)
    size = 1 if axis is None else mesh.shape[axis]
    layout = next(name for name, second in LAYOUTS.items() if second == axis)
    if size == 1 or axis == SHARD_AXIS:
        return
    groups = {layer.groups for layer in spec.convolutions} - {1}
    if axis == COLUMN_AXIS and not groups:
        raise UserError(
            f"layout 'columns' puts a network's groups on {size} devices, but no convolution of "
            "this one has groups; use model.name='original' or another with two columns, or layout "
            "'data', 'hybrid' or 'fsdp'"
        )
    if axis == COLUMN_AXIS and any(number % size for number in {*groups, spec.columns}):
        raise UserError(
            f"layout 'columns' cannot divide the {min(groups)} groups of this network over {size} "
            f"devices; set parallel.model_axis={min(groups)}"
        )
    if axis == MODEL_AXIS and spec.convolutions and not spec.dense:
        raise UserError(
            f"layout 'hybrid' divides hidden fully connected units over {size} devices, and this "
            "network has none; use layout 'data' or 'fsdp'"
        )
    for number, layer in enumerate(spec.dense, start=len(spec.convolutions) + 1):
        if layer.features % size:
            raise UserError(
                f"fc{number} has {layer.features} units, which layout {layout!r} cannot divide "
                f"over {size} devices; set parallel.model_axis to a divisor of both"
            )
        if axis == MODEL_AXIS and layer.groups > 1:
            raise UserError(
                f"layout 'hybrid' divides the units of fc{number} over {size} devices, but they "
                f"come in {layer.groups} groups: use layout 'columns' or 'data'"
            )
