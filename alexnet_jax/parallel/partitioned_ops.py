"""Convolutions and matrix products that are partitioned over a mesh.

Each device computes its part of a product from its part of the inputs and of the kernel, and the
communication for that is written out here. XLA's partitioner would gather the inputs and kernels of
a grouped convolution on every device, and on CPUs sum whole gradients where each device needs a
slice. The gradients' communication follows by transposition: an all-gather becomes a
reduce-scatter, and a replicated kernel an all-reduce.
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

# What one device computes of (inputs, kernel), and the specs of inputs and outputs.
_Part = tuple[Callable[[jax.Array, jax.Array], jax.Array], P, P]


def partition_ops(model: AlexNet, mesh: Mesh) -> AlexNet:
    """Return the network with its products computed on all devices of `mesh`.

    XLA partitions a network that is a class of its own.
    """
    if mesh.size == 1 or model.spec.module is not None:
        return model
    return model.clone(partitioned_op=_PartitionedOp(mesh, model.spec))


@dataclass(frozen=True)
class _PartitionedOp:
    """A `models.layers.PartitionedOp`."""

    mesh: Mesh
    spec: Spec

    def __call__(
        self, product: Product, name: str, inputs: jax.Array, kernel: jax.Array, groups: int
    ) -> jax.Array:
        compute, inputs_spec, outputs_spec = self._partition(product, name, inputs, kernel, groups)
        kernel_spec = parameter_spec(self.mesh, self.spec, f"{name}/kernel", kernel.shape)
        return jax.shard_map(
            compute,
            mesh=self.mesh,
            in_specs=(inputs_spec, kernel_spec),
            out_specs=outputs_spec,
            # Every result is divided over all axes, so nothing is counted twice; and the check has
            # no rules for some products, such as loops.
            check_vma=False,
        )(inputs, kernel)

    def _partition(
        self, product: Product, name: str, inputs: jax.Array, kernel: jax.Array, groups: int
    ) -> _Part:
        divided = divided_dimension(self.mesh, self.spec, f"{name}/kernel", kernel.shape)
        axis, rows = second_axis(self.mesh), P(row_axes(self.mesh))
        if axis is None or divided is None:
            return lambda x, k: product(x, k, groups), rows, rows
        if axis == SHARD_AXIS:
            return lambda x, k: product(x, _gather(k, axis, divided), groups), rows, rows
        if divided == 0:  # Sum over the device's inputs, keep the sums of its share of the images.
            return (
                lambda x, k: lax.psum_scatter(
                    product(x, k, groups), axis, scatter_dimension=0, tiled=True
                ),
                P(DATA_AXIS, axis),
                P((DATA_AXIS, axis)),
            )
        # Compute the device's features, of all inputs or of its own groups of them.
        outputs = P(DATA_AXIS, *(None,) * (kernel.ndim - 2), axis)
        if name == "conv1":  # Every device of the axis has the images.
            return lambda x, k: product(x, k, groups), P(DATA_AXIS), outputs
        if axis == MODEL_AXIS and inputs.ndim > kernel.ndim:  # Maps of some of the images.
            whole, inputs_spec = 0, P((DATA_AXIS, axis))
        else:
            whole = inputs.ndim - 1
            inputs_spec = P(DATA_AXIS, *(None,) * (inputs.ndim - 2), axis)
        if groups > 1:
            own = groups // self.mesh.shape[axis]
            return lambda x, k: product(x, k, own), inputs_spec, outputs
        return lambda x, k: product(_gather(x, axis, whole), k, groups), inputs_spec, outputs


def _gather(x: jax.Array, axis: str, dimension: int) -> jax.Array:
    return lax.all_gather(x, axis, axis=dimension, tiled=True)
