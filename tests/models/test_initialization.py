import jax
import numpy as np
import pytest
from flax import linen as nn

from alexnet_jax.models.initialization import initializers

KEY, SHAPE = jax.random.key(3), (5, 3, 4, 7)
DRAW = {
    "gaussian": nn.initializers.normal(0.01),
    "he": nn.initializers.normal((2 / 60) ** 0.5),
    "torch": lambda key, shape: jax.random.uniform(key, shape, minval=-(60**-0.5), maxval=60**-0.5),
}


@pytest.mark.parametrize("name", DRAW)
def test_a_kernel_drawn_as_one_row_has_the_numbers_of_one_drawn_in_its_shape(name):
    kernel, _ = initializers(name, 0.01, 0.0, inputs=60)
    # Newer XLA (jax 0.12) rounds the scaling to the bounds once or twice, depending on the shape.
    rounding = np.finfo(np.float32).eps * 60**-0.5 if name == "torch" else 0
    np.testing.assert_allclose(kernel(KEY, SHAPE), DRAW[name](KEY, SHAPE), rtol=0, atol=rounding)
