import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled_network import init

from alexnet_jax.errors import UserError
from alexnet_jax.models import create_model
from alexnet_jax.models.alexnet import AlexNet
from alexnet_jax.prediction.activations import activation_shapes, capture_activations

CROPS = 60 * np.random.default_rng(0).normal(size=(2, 80, 80, 3)).astype(np.float32)
LAYERS = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]


def network(*modifications, **options):
    model = create_model("tiny", num_classes=4, modifications=modifications, **options)
    return model, init(model, CROPS)


def capture(model, variables, layers=()):
    return jax.jit(lambda v, x: capture_activations(model, v, x, layers))(variables, CROPS)


@pytest.fixture(scope="module")
def tiny():
    return network()


@pytest.mark.slow
def test_the_output_layer_gives_the_logits(tiny):
    model, variables = tiny
    logits = jax.jit(lambda v, x: model.apply(v, x, train=False))(variables, CROPS)
    np.testing.assert_allclose(capture(*tiny, ["fc8"])["fc8"], logits, rtol=1e-5, atol=1e-6)


def test_a_hidden_layer_is_what_the_next_one_reads(tiny):
    """Not inverted dropout halves fc7 before fc8 reads it."""
    found = capture(*tiny)
    output = tiny[1]["params"]["fc8"]
    logits = found["fc7"] / 2 @ output["kernel"] + output["bias"][None]
    np.testing.assert_allclose(found["fc8"], logits, rtol=1e-4, atol=1e-5)


def test_a_convolution_is_taken_after_its_nonlinearity_where_pooling_comes_first(tiny):
    """conv1 of `original` and `tiny`: pooling, then ReLU."""
    conv1 = capture(*tiny, ["conv1"])["conv1"]
    assert conv1.shape[1:] == activation_shapes(tiny[0], 80)["conv1"] == (17, 17, 12)
    assert conv1.min() == 0


def test_only_the_named_layers_are_computed(tiny):
    model, variables = tiny
    program = jax.jit(lambda v, x: capture_activations(model, v, x, ["conv2"]))
    assert list(capture(*tiny, ["conv2"])) == ["conv2"]
    every = jax.jit(lambda v, x: capture_activations(model, v, x))
    costs = [each.lower(variables, CROPS).compile().cost_analysis() for each in (program, every)]
    assert costs[0]["flops"] < costs[1]["flops"]


def test_all_layers_come_in_the_order_of_the_network(tiny):
    assert list(activation_shapes(tiny[0], 80)) == LAYERS


def test_an_unknown_layer_lists_the_known_ones(tiny):
    with pytest.raises(UserError, match=f"no layer 'fc9'; this network has {', '.join(LAYERS)}"):
        capture(*tiny, ["fc7", "fc9"])


def test_running_statistics_are_used_and_stay_as_they_are():
    model, variables = network("batch_norm")
    shifted = jax.tree.map(lambda mean: mean + 1.0, variables["batch_stats"])
    plain = capture(model, variables, ["conv2"])["conv2"]
    other = capture(model, variables | {"batch_stats": shifted}, ["conv2"])["conv2"]
    assert not np.allclose(plain, other)


def test_activations_are_float32_whatever_the_networks_dtype():
    assert capture(*network(dtype=jnp.bfloat16), ["conv5"])["conv5"].dtype == jnp.float32


def test_a_tanh_network_is_captured_after_tanh():
    conv3 = capture(*network("tanh"), ["conv3"])["conv3"]
    assert conv3.min() < 0 <= abs(conv3).max() <= 1


def test_an_ordinary_forward_pass_keeps_no_activations(tiny):
    model, variables = tiny
    assert "intermediates" not in variables
    assert isinstance(model, AlexNet)
    assert jax.eval_shape(lambda x: model.apply(variables, x, train=False), CROPS).shape == (2, 4)
