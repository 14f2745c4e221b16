import jax
import jax.numpy as jnp
import numpy as np
import pytest
from exact_convolution import value_and_gradients

from alexnet_jax.kernels.conv import conv2d
from alexnet_jax.models import ops

IMAGES, KERNEL = (4, 13, 13, 96), (3, 3, 96, 128)  # About a group of conv4.


@pytest.mark.slow
def test_rounds_as_the_plain_sum_does():
    with jax.enable_x64(True):
        exact = value_and_gradients(ops.conv2d, IMAGES, KERNEL, jnp.float64)
    ours, plain = (
        value_and_gradients(f, IMAGES, KERNEL, jnp.float32) for f in (conv2d, ops.conv2d)
    )
    for actual, direct, expected in zip(ours, plain, exact, strict=True):
        assert np.abs(actual - expected).max() < 3 * np.abs(direct - expected).max()


@pytest.mark.parametrize(
    ("platform", "kernel", "dtype", "convolutions"),
    [
        ("cpu", (3, 3, 64, 64), jnp.float32, 0),
        ("cuda", (3, 3, 64, 64), jnp.float32, 1),
        ("tpu", (3, 3, 64, 64), jnp.float32, 1),
        ("cpu", (3, 3, 63, 64), jnp.float32, 1),  # The transforms would take longer than they save.
        ("cpu", (3, 3, 64, 63), jnp.float32, 1),
        ("cpu", (3, 3, 64, 64), jnp.bfloat16, 1),  # The transforms would lose digits.
    ],
)
def test_replaces_convolutions_on_cpus_alone(platform, kernel, dtype, convolutions):
    images, kernel = (jax.ShapeDtypeStruct(s, dtype) for s in ((2, 13, 13, kernel[2]), kernel))
    traced = jax.jit(lambda x, w: conv2d(x, w, 1, (1, 1))).trace(images, kernel)
    program = traced.lower(lowering_platforms=(platform,)).as_text()
    assert program.count("stablehlo.convolution") == convolutions


def test_a_stride_is_left_to_xla():
    images, kernel = (jnp.zeros(s, jnp.float32) for s in (IMAGES, KERNEL))
    program = jax.jit(lambda x, w: conv2d(x, w, 2, (1, 1))).lower(images, kernel).as_text()
    assert "stablehlo.convolution" in program
