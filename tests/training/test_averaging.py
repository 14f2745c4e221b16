import jax.numpy as jnp
import numpy as np
import pytest

from alexnet_jax.training.averaging import update_average


@pytest.mark.parametrize(
    ("step", "kept"), [(0, 0.1), (1, 2 / 11), (80, 0.9), (81, 0.9), (10_000, 0.9)]
)
def test_the_average_keeps_less_of_itself_in_the_first_steps(step, kept):
    found = update_average({"a": jnp.ones(2)}, {"a": jnp.full(2, 3.0)}, jnp.int32(step), 0.9)
    np.testing.assert_allclose(found["a"], kept * 1 + (1 - kept) * 3, rtol=1e-6)
