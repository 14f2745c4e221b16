"""Floating-point operations of a network, and the rate of matrix products on this machine.

A multiply-add counts as two. Training counts as three forward passes: the pass itself, the gradient
of each layer's parameters, and that of its input. The gradient of the images is not computed and
does not count. Only the products of layers count. A convolution counts as the plain sum, even where
a fast kernel multiplies less.
"""

import time
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.typing import DTypeLike

from alexnet_jax.diagnosis.timing import time_calls
from alexnet_jax.layer_table import Row

_SIDES = (512, 1024, 2048, 4096, 8192)
_PASSES = 3


def training_flops(rows: list[Row]) -> int:
    """Return the operations of a training step for one image."""
    return 2 * (_PASSES * sum(row.multiply_adds for row in rows) - rows[0].multiply_adds)


def matrix_product_ceiling(
    mesh: Mesh, dtype: DTypeLike, precision: lax.Precision, seconds: float
) -> float:
    """Measure the fastest product of square matrices, in operations per second of all devices.

    Each device computes a product of its own. Larger matrices are tried while time is left.
    """
    end, best = time.perf_counter() + seconds, 0.0
    for side in _SIDES:
        operations = 2 * side**3 * mesh.size
        if best and operations / best > end - time.perf_counter():
            break
        elapsed = _time_product(mesh, side, dtype, precision, seconds / len(_SIDES))
        best = max(best, operations / elapsed)
    return best


def _time_product(
    mesh: Mesh, side: int, dtype: DTypeLike, precision: lax.Precision, seconds: float
) -> float:
    draw = jax.jit(
        lambda key: jax.random.normal(key, (mesh.size, side, side), dtype),
        out_shardings=NamedSharding(mesh, PartitionSpec(mesh.axis_names)),
    )
    matrices = draw(jax.random.key(0))
    on_cpus = mesh.devices.flat[0].platform == "cpu"
    # Only for float32 results does XLA use CPUs' matrix units (alexnet_jax.kernels.on_amx).
    result = jnp.float32 if on_cpus else dtype
    multiply = jax.jit(partial(jnp.matmul, precision=precision, preferred_element_type=result))
    queued = 1 if on_cpus else 8

    def run() -> None:
        jax.block_until_ready([multiply(matrices, matrices) for _ in range(queued)])

    run()
    return time_calls(run, seconds)[0] / queued
