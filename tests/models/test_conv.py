import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from alexnet_jax.models.conv import conv_by_group

NHWC = ("NHWC", "HWIO", "NHWC")


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_equals_one_grouped_convolution_forward_and_backward(groups):
    keys = jax.random.split(jax.random.key(0), 3)
    images = jax.random.normal(keys[0], (2, 7, 5, 8))
    kernel = jax.random.normal(keys[1], (3, 3, 8 // groups, 12))
    weights = jax.random.normal(keys[2], (2, 7, 5, 12))

    def total(convolve):
        def compute(images, kernel):
            result = convolve(
                images,
                kernel,
                (1, 1),
                "SAME",
                dimension_numbers=NHWC,
                feature_group_count=groups,
            )
            return jnp.sum(result * weights)

        return jax.value_and_grad(compute, argnums=(0, 1))(images, kernel)

    for actual, expected in zip(
        jax.tree.leaves(total(conv_by_group)),
        jax.tree.leaves(total(lax.conv_general_dilated)),
        strict=True,
    ):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)
