"""The field of a unit is what its gradient by the pixels reaches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from alexnet_jax.models import create_model
from alexnet_jax.report.receptive_field import ReceptiveField, receptive_fields
from alexnet_jax.report.units import layer_sums


@pytest.fixture(scope="module")
def tiny():
    # Spatial normalization looks further, weakly: not part of a field.
    model = create_model("tiny", num_classes=10, modifications=("no_spatial_norm",))
    crops = jax.random.normal(jax.random.key(1), (1, 80, 80, 3)) * 50
    return model, model.init(jax.random.key(0), crops, train=False), crops


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["conv1", "conv2", "conv3"])
def test_the_gradient_of_a_unit_fills_its_field(tiny, layer):
    model, variables, crops = tiny
    shape = jax.eval_shape(lambda x: layer_sums(model, variables, x), crops)[layer].shape
    row, column = shape[1] // 2, shape[2] // 2
    gradient = jax.grad(lambda x: jnp.sum(layer_sums(model, variables, x)[layer][:, row, column]))(
        crops
    )
    touched = np.argwhere(np.abs(np.asarray(gradient[0])).sum(axis=-1) > 0)
    field = receptive_fields(model.spec)[layer]
    top, left = field.window(row, column)
    first, last = touched.min(axis=0), touched.max(axis=0)
    assert (first >= [top, left]).all() and (last < [top + field.size, left + field.size]).all()
    # Pooling passes a gradient from one of nine, and zeros of ReLU none: so near, not at, the edge.
    assert (last - first + 1 > 0.6 * field.size).all()


def test_conv1_of_the_paper_sees_eleven_pixels_every_four():
    fields = receptive_fields(create_model("paper").spec)
    assert fields["conv1"] == ReceptiveField(size=11, stride=4, offset=0)


def test_conv5_of_the_paper_sees_163_pixels():
    fields = receptive_fields(create_model("paper").spec)
    assert (fields["conv5"].size, fields["conv5"].stride) == (163, 16)
