"""Floating-point operations: those a network asks for, and those a machine can do.

A multiply-add counts as two. Training counts three times the forward pass: the pass itself, the
gradient of what each layer was given, and that of its parameters. Only the layers' products count,
and conv1's gradient with respect to the pixels counts although nobody computes it (5 % of the sum
for `original`): so every published utilisation of an AlexNet counts, more or less. A convolution
counts as the plain sum, also where `kernels/conv.py` takes fewer multiplications.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.typing import DTypeLike

from alexnet_jax.diagnosis.timing import Budget, time_calls
from alexnet_jax.models.table import Row

_SIDES = (512, 1024, 2048, 4096, 8192)
_PASSES = 3


def training_flops(rows: list[Row]) -> int:
    """Return the operations of a training step for one image."""
    return 2 * _PASSES * sum(row.multiply_adds for row in rows)


def matrix_product_ceiling(
    mesh: Mesh, dtype: DTypeLike, precision: lax.Precision, seconds: float
) -> float:
    """Measure the fastest product of square matrices, on all devices at once.

    Args:
        mesh: the devices, each with a product of its own.
        dtype: of the matrices.
        precision: of the products; give what the network's have.
        seconds: larger matrices are tried while there is time.

    Returns:
        Operations a second of all devices together.
    """
    budget, best = Budget(seconds), 0.0
    for side in _SIDES:
        operations = 2 * side**3 * mesh.size
        if best and operations / best > budget.left():
            break
        elapsed = _time_product(mesh, side, dtype, precision, seconds / len(_SIDES))
        best = max(best, operations / elapsed)
    return best


def _time_product(
    mesh: Mesh, side: int, dtype: DTypeLike, precision: lax.Precision, seconds: float
) -> float:
    each_its_own = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
    draw = jax.jit(
        lambda key: jax.random.normal(key, (mesh.size, side, side), dtype),
        out_shardings=each_its_own,
    )
    matrices = draw(jax.random.key(0))
    multiply = jax.jit(partial(jnp.matmul, precision=precision))
    queued = 8 if mesh.devices.flat[0].platform != "cpu" else 1

    def run() -> None:
        jax.block_until_ready([multiply(matrices, matrices) for _ in range(queued)])

    run()
    return time_calls(run, seconds)[0] / queued
