"""Layers of 2012 that had two columns: convolutions and units that see their own group alone."""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

from alexnet_jax.models.partitioning import PartitionedOp, run_locally


class GroupedConv(nn.Module):
    """A convolution of groups of kernels that see only their own group of channels.

    Attributes:
        features: number of kernels.
        window: side of the square kernel.
        groups: number of groups; the kernel is [window, window, C / groups, features].
        convolve: (images, kernel, groups=groups) -> what the kernels see.
        use_bias: whether there are biases.
        kernel_init: draws the kernel.
        bias_init: draws the biases.
        dtype: of the products.
        partitioned_op: computes the product with the kernel.
    """

    features: int
    window: int
    groups: int
    convolve: Callable[..., jax.Array]
    use_bias: bool
    kernel_init: Callable[..., jax.Array]
    bias_init: Callable[..., jax.Array]
    dtype: DTypeLike
    partitioned_op: PartitionedOp = run_locally

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Convolve: [B, H, W, C] -> [B, H', W', features]."""
        shape = (self.window, self.window, x.shape[-1] // self.groups, self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)

        def product(x: jax.Array, kernel: jax.Array, groups: int) -> jax.Array:
            # The kernel becomes `x`'s dtype only here: see `_connect_by_group`.
            return self.convolve(x, kernel.astype(x.dtype), groups=groups)

        sums = self.partitioned_op(
            product, str(self.name), x.astype(self.dtype), kernel, self.groups
        )
        if not self.use_bias:
            return sums
        bias = self.param("bias", self.bias_init, (self.features,), jnp.float32)
        return sums + bias.astype(self.dtype)[None, None, None]


class GroupedDense(nn.Module):
    """A fully connected layer whose groups of units see only their own group of channels.

    With one group, `nn.Dense`. The kernel is [inputs / groups, features]; maps are flattened, one
    group of channels after the other.

    Attributes:
        features: number of units.
        groups: number of groups.
        kernel_init: draws the kernel.
        bias_init: draws the biases.
        dtype: of what is multiplied.
        result_dtype: of the sums and biases.
        precision: of products of float32 numbers.
        partitioned_op: computes the product with the kernel.
    """

    features: int
    groups: int
    kernel_init: Callable[..., jax.Array]
    bias_init: Callable[..., jax.Array]
    dtype: DTypeLike
    result_dtype: DTypeLike
    precision: lax.Precision
    partitioned_op: PartitionedOp = run_locally

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Connect: [B, H, W, C] or [B, inputs] -> [B, features]."""
        shape = (math.prod(x.shape[1:]) // self.groups, self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        bias = self.param("bias", self.bias_init, (self.features,), jnp.float32)
        x = x.astype(self.dtype)
        product = partial(
            _connect_by_group, precision=self.precision, result_dtype=self.result_dtype
        )
        sums = self.partitioned_op(product, str(self.name), x, kernel, self.groups)
        return sums + bias.astype(self.result_dtype)[None]


def _connect_by_group(
    x: jax.Array,
    kernel: jax.Array,
    groups: int,
    precision: lax.Precision,
    result_dtype: DTypeLike,
) -> jax.Array:
    # The kernel becomes `x`'s dtype only here, so that devices sum its gradient in float32.
    kernel = kernel.astype(x.dtype)
    columns = zip(
        jnp.split(flatten_by_group(x, groups), groups, axis=-1),
        jnp.split(kernel, groups, axis=-1),
        strict=True,
    )
    multiply = partial(jnp.matmul, precision=precision, preferred_element_type=result_dtype)
    return jnp.concatenate([multiply(*pair) for pair in columns], axis=-1)


def flatten_by_group(x: jax.Array, groups: int) -> jax.Array:
    """Flatten [B, ..., C] -> [B, ...·C], the groups of channels one after the other."""
    split = x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)
    return jnp.moveaxis(split, -2, 1).reshape(x.shape[0], -1)  # len(x) fails for a symbolic batch.
