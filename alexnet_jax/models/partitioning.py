"""Hook for partitioning convolutions and matrix products; they run locally by default.

A model passes each product with a kernel, and the name of its layer, to its `partitioned_op`.
`parallel/partitioned_ops.py` supplies one that computes the product on all devices of a mesh.
"""

from collections.abc import Callable
from typing import Protocol

import jax

# (inputs, kernel, groups) -> outputs: a convolution or a matrix product, biases not added.
Product = Callable[[jax.Array, jax.Array, int], jax.Array]


class PartitionedOp(Protocol):
    """Computes the product of the layer called `name`."""

    def __call__(
        self, product: Product, name: str, inputs: jax.Array, kernel: jax.Array, groups: int
    ) -> jax.Array:
        """Return product(inputs, kernel, groups), wherever that is computed."""
        ...


def run_locally(
    product: Product, name: str, inputs: jax.Array, kernel: jax.Array, groups: int
) -> jax.Array:
    """Return product(inputs, kernel, groups)."""
    return product(inputs, kernel, groups)
