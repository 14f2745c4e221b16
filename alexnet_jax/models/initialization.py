"""The values that kernels and biases start from, by name."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

Initializer = Callable[..., jax.Array]


def initializers(name: str, kernel_std: float, bias: float, inputs: int) -> tuple[Initializer, ...]:
    """Return the initializers of a layer's kernel and bias.

    Args:
        name: "gaussian": N(0, kernel_std²), not truncated, and a constant, as in 2012; "he": N(0,
            2/inputs) and 0 (He et al. 2015); "torch": both uniform in ±1/sqrt(inputs), as PyTorch.
        kernel_std: Standard deviation of the kernel, for "gaussian".
        bias: Initial value of the biases, for "gaussian".
        inputs: Number of inputs of each unit.

    Raises:
        ValueError: `name` is none of these.
    """
    match name:
        case "gaussian":
            return _flat(nn.initializers.normal(kernel_std)), nn.initializers.constant(bias)
        case "he":
            return _flat(nn.initializers.normal((2 / inputs) ** 0.5)), nn.initializers.zeros
        case "torch":
            return _flat(_uniform(inputs**-0.5)), _uniform(inputs**-0.5)
    raise ValueError(f"unknown initialization {name!r}: gaussian, he, torch")


def _uniform(bound: float) -> Initializer:
    def draw(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return draw


def _flat(draw: Initializer) -> Initializer:
    """Draw one long row and fold it: the same numbers, compiled in half the time.

    XLA's CPU compiler unrolls loops over short axes, which kernels have.
    """

    def draw_flat(
        key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32
    ) -> jax.Array:
        return draw(key, (math.prod(shape),), dtype).reshape(shape)

    return draw_flat
