import numpy as np
import pytest
from made_weights import narrow

from alexnet_jax.models import MODELS
from alexnet_jax.weights.layout import channels_first, channels_last

SPEC = narrow(MODELS["owt"])  # conv5 has 16 kernels.


def numbered(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def test_a_convolution_is_read_by_row_column_input_output():
    theirs = numbered(4, 3, 11, 11)
    ours = channels_last("conv1/kernel", theirs, SPEC)
    assert ours.shape == (11, 11, 3, 4)
    assert ours[7, 5, 2, 1] == theirs[1, 2, 7, 5]


def test_fc6_reads_the_last_map_by_row_column_channel():
    theirs = numbered(64, 16 * 6 * 6)
    ours = channels_last("fc6/kernel", theirs, SPEC)
    channel, row, column, unit = 11, 4, 2, 9
    assert (
        ours[(row * 6 + column) * 16 + channel, unit]
        == theirs[unit, (channel * 6 + row) * 6 + column]
    )


def test_a_later_layer_is_transposed():
    theirs = numbered(10, 64)
    assert np.array_equal(channels_last("fc8/kernel", theirs, SPEC), theirs.T)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("conv2/kernel", (12, 4, 5, 5)),
        ("fc6/kernel", (64, 576)),
        ("fc7/kernel", (64, 64)),
        ("fc7/bias", (64,)),
    ],
)
def test_there_and_back_is_the_same(name, shape):
    theirs = numbered(*shape)
    back = channels_first(name, channels_last(name, theirs, SPEC), SPEC)
    assert np.array_equal(back, theirs)
