import numpy as np
import pytest

from alexnet_jax.models import MODELS
from alexnet_jax.weights.bundle import tensor_shapes
from alexnet_jax.weights.checking import identify
from alexnet_jax.weights.layout import channels_first_shapes


def zeros(shapes):
    """Arrays of these shapes, which take no memory."""
    return {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["single_tower", "owt", "tiny"])
def test_a_network_is_known_by_its_shapes_in_either_order(name):
    shapes = tensor_shapes(MODELS[name], 77)
    assert identify(zeros(shapes)) == identify(zeros(channels_first_shapes(shapes))) == repr(name)


def test_networks_of_the_same_shapes_are_all_named():
    assert "'original' or 'paper'" in identify(zeros(tensor_shapes(MODELS["paper"], 1000)))


@pytest.mark.slow
def test_what_is_not_known_is_counted():
    assert identify(zeros({"w": (10, 20)})) == "an unknown network (tensors: 1, parameters: 200)"
