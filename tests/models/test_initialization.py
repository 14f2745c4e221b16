import jax
import numpy as np
import pytest
from flax import linen as nn

from alexnet_jax.models.initialization import initializers

KEY, SHAPE = jax.random.key(3), (5, 3, 4, 7)
DRAWN = {
    "gaussian": nn.initializers.normal(0.01)(KEY, SHAPE),
    "he": nn.initializers.normal((2 / 60) ** 0.5)(KEY, SHAPE),
    "torch": jax.random.uniform(KEY, SHAPE, minval=-(60**-0.5), maxval=60**-0.5),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_kernel_drawn_as_one_row_has_the_numbers_of_one_drawn_in_its_shape(name):
    kernel, _ = initializers(name, 0.01, 0.0, inputs=60)
    np.testing.assert_array_equal(kernel(KEY, SHAPE), DRAWN[name])
