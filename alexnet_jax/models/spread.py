"""Where a layer's product is computed: here, unless whoever builds the step spreads it.

The products with kernels are the only part of a network that many devices have to agree on. The
model hands each of them, with the layer's name, to its `spread`; what parallel/spread.py makes of
that, it does not know.
"""

from collections.abc import Callable
from typing import Protocol

import jax

# (inputs, kernel, groups) -> outputs: a convolution or a matrix product, biases not added.
Product = Callable[[jax.Array, jax.Array, int], jax.Array]


class Spread(Protocol):
    """Computes the product of the layer called `name`."""

    def __call__(
        self, product: Product, name: str, inputs: jax.Array, kernel: jax.Array, groups: int
    ) -> jax.Array:
        """Return product(inputs, kernel, groups), wherever that is computed."""
        ...


def compute_here(
    product: Product, name: str, inputs: jax.Array, kernel: jax.Array, groups: int
) -> jax.Array:
    """Return product(inputs, kernel, groups)."""
    return product(inputs, kernel, groups)
