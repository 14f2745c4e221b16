"""Convolutions and matrix products that are partitioned over a mesh.

Each device computes its part of a product from its part of the inputs and of the kernel, and what
it has to send for that is written out here. It is not left to XLA's partitioner, which gathers
the inputs and kernels of a grouped convolution on every device, and on CPUs sums whole gradients
where each device needs a slice. The gradients' exchange follows by transposition: of a gathering
it is a sum of which each device keeps its slice (reduce-scatter), of a kernel that several
devices hold it is a sum over these (all-reduce).
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from alexnet_jax.models import AlexNet, Spec
from alexnet_jax.models.layers import Product
from alexnet_jax.parallel.mesh import DATA_AXIS, MODEL_AXIS, SHARD_AXIS, row_axes, second_axis
from alexnet_jax.parallel.sharding_rules import divided_dimension, parameter_spec


def partition_ops(model: AlexNet, mesh: Mesh) -> AlexNet:
    """Return the network with its products computed on all devices of `mesh`.

    XLA partitions a network that is a class of its own.
    """
    if mesh.size == 1 or model.spec.module is not None:
        return model
    return model.clone(partitioned_op=_PartitionedOp(mesh, model.spec))


@dataclass(frozen=True)
class _Part:
    """What one device computes of (inputs, kernel), and how inputs and outputs lie."""

    compute: Callable[[jax.Array, jax.Array], jax.Array]
    inputs: P
    outputs: P


@dataclass(frozen=True)
class _PartitionedOp:
    """A `models.layers.PartitionedOp`."""

    mesh: Mesh
    spec: Spec

    def __call__(
        self, product: Product, name: str, inputs: jax.Array, kernel: jax.Array, groups: int
    ) -> jax.Array:
        path = f"{name}/kernel"
        divided = divided_dimension(self.mesh, self.spec, path, kernel.shape)
        axis, rows = second_axis(self.mesh), P(row_axes(self.mesh))
        if axis is None or divided is None:
            part = _Part(lambda x, k: product(x, k, groups), rows, rows)
        elif axis == SHARD_AXIS:
            part = _Part(lambda x, k: product(x, _gather(k, axis, divided), groups), rows, rows)
        elif divided == 0:
            part = _divide_inputs(product, axis, groups)
        else:
            part = self._divide_features(product, axis, name, inputs.ndim, kernel.ndim, groups)
        return jax.shard_map(
            part.compute,
            mesh=self.mesh,
            in_specs=(part.inputs, parameter_spec(self.mesh, self.spec, path, kernel.shape)),
            out_specs=part.outputs,
            # Every result lies on all axes, so nothing is counted twice; and a product may be
            # anything, loops included, which the check has no rules for.
            check_vma=False,
        )(inputs, kernel)

    def _divide_features(
        self, product: Product, axis: str, name: str, inputs: int, kernel: int, groups: int
    ) -> _Part:
        """Let each device compute its features, of all inputs or of its own groups of them."""
        outputs = P(DATA_AXIS, *(None,) * (kernel - 2), axis)
        if name == "conv1":  # Every device of the axis has the images.
            return _Part(lambda x, k: product(x, k, groups), P(DATA_AXIS), outputs)
        if axis == MODEL_AXIS and inputs > kernel:  # Maps, of which each device has some images'.
            whole, lies = 0, P((DATA_AXIS, axis))
        else:
            whole, lies = inputs - 1, P(DATA_AXIS, *(None,) * (inputs - 2), axis)
        if groups > 1:
            own = groups // self.mesh.shape[axis]
            return _Part(lambda x, k: product(x, k, own), lies, outputs)
        return _Part(lambda x, k: product(_gather(x, axis, whole), k, groups), lies, outputs)


def _divide_inputs(product: Product, axis: str, groups: int) -> _Part:
    """Let each device sum over its inputs, and keep the sums of its share of the images."""

    def compute(x: jax.Array, kernel: jax.Array) -> jax.Array:
        sums = product(x, kernel, groups)
        return lax.psum_scatter(sums, axis, scatter_dimension=0, tiled=True)

    return _Part(compute, P(DATA_AXIS, axis), P((DATA_AXIS, axis)))


def _gather(x: jax.Array, axis: str, dimension: int) -> jax.Array:
    return lax.all_gather(x, axis, axis=dimension, tiled=True)
