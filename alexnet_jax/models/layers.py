"""Layers with parameters: convolutions, and fully connected units, in groups as in 2012."""

import math
from collections.abc import Callable
from typing import Protocol

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from alexnet_jax.models.initialization import initializers
from alexnet_jax.models.spec import Convolution, Dense

# (inputs, kernel, groups) -> sums: a convolution or a matrix product, biases not added.
Product = Callable[[jax.Array, jax.Array, int], jax.Array]


class PartitionedOp(Protocol):
    """Hook for partitioning the product with the kernel of the layer called `name`."""

    def __call__(
        self, product: Product, name: str, inputs: jax.Array, kernel: jax.Array, groups: int
    ) -> jax.Array:
        """Return product(inputs, kernel, groups), computed on any devices."""
        ...


def run_locally(
    product: Product, name: str, inputs: jax.Array, kernel: jax.Array, groups: int
) -> jax.Array:
    """Return product(inputs, kernel, groups)."""
    return product(inputs, kernel, groups)


class Layer(nn.Module):
    """A product with a kernel, and biases: one row of a network's table.

    Attributes:
        row: Number of kernels or units, their groups and their initial values.
        product: Function (inputs, kernel, groups) -> sums.
        initialization: Name of the initialization, see `initializers`.
        dtype: Dtype of the inputs and of the product.
        result_dtype: Dtype of the sums and biases.
        partitioned_op: Function that computes the product with the kernel.
    """

    row: Convolution | Dense
    product: Product
    initialization: str
    dtype: DTypeLike
    result_dtype: DTypeLike
    partitioned_op: PartitionedOp = run_locally

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Compute [B, H, W, C] -> [B, H', W', features], or [B, ...] -> [B, features]."""
        row = self.row
        shape = row.kernel_shape(x.shape[1:])
        kernel_init, bias_init = initializers(
            self.initialization, row.kernel_std, row.bias, inputs=math.prod(shape[:-1])
        )
        kernel = self.param("kernel", kernel_init, shape, jnp.float32)
        sums = self.partitioned_op(
            self.product, str(self.name), x.astype(self.dtype), kernel, row.groups
        )
        if not row.has_bias:
            return sums
        bias = self.param("bias", bias_init, (row.features,), jnp.float32)
        # Rounded after it is spread over the pixels: its gradient is their sum in float32.
        return sums + jnp.broadcast_to(bias, sums.shape).astype(self.result_dtype)
