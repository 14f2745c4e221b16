import jax
import jax.numpy as jnp
import numpy as np
import pytest

from alexnet_jax.layer_table import describe_layers
from alexnet_jax.models import create_model

pytestmark = pytest.mark.slow

EPSILON, MOMENTUM = 1e-4, 0.9  # nvcaffe, models/alexnet_bn/train_val.prototxt.


def initialize(model):
    images = jnp.zeros((1, 80, 80, 3))
    return jax.jit(lambda key: model.init(key, images, train=False))(jax.random.key(0))


@pytest.fixture(scope="module")
def network():
    """`tiny` with batch normalization, and variables none of which is where it begins."""
    model = create_model("tiny", num_classes=4, modifications=["batch_norm", "no_dropout"])
    variables = initialize(model)
    leaves, structure = jax.tree.flatten(variables)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    drawn = [
        leaf + jax.random.uniform(key, leaf.shape, minval=0.0, maxval=0.1)
        for leaf, key in zip(leaves, keys, strict=True)
    ]
    return model, jax.tree.unflatten(structure, drawn)


IMAGES = 60 * np.random.default_rng(0).normal(size=(6, 80, 80, 3)).astype(np.float32)


def run(network, train):
    """Returns what conv2 computes, what its normalization makes of it, and the new statistics."""
    model, variables = network

    @jax.jit
    def apply(variables):
        return model.apply(variables, IMAGES, train=train, capture_intermediates=True, mutable=True)

    _, seen = apply(variables)
    before, after = (
        np.asarray(seen["intermediates"][name]["__call__"][0], np.float64)
        for name in ("conv2", "conv2_norm")
    )
    return before, after, seen["batch_stats"]["conv2_norm"]


def normalize(x, mean, variance, parameters):
    """arXiv 1502.03167, algorithm 1, in float64."""
    scale, bias = (np.asarray(parameters[name], np.float64) for name in ("scale", "bias"))
    return scale * (x - mean) / np.sqrt(variance + EPSILON) + bias


def assert_near(actual, expected):
    """Hold the largest difference to a millionth of the largest number."""
    largest = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6 * largest)


def test_training_normalises_by_the_batch(network):
    before, after, _ = run(network, train=True)
    mean, variance = before.mean(axis=(0, 1, 2)), before.var(axis=(0, 1, 2))
    expected = normalize(before, mean, variance, network[1]["params"]["conv2_norm"])
    assert_near(after, expected)


def test_evaluation_normalises_by_the_running_statistics(network):
    old = jax.tree.map(np.float64, network[1]["batch_stats"]["conv2_norm"])
    before, after, new = run(network, train=False)
    expected = normalize(before, old["mean"], old["var"], network[1]["params"]["conv2_norm"])
    assert_near(after, expected)
    np.testing.assert_array_equal(new["mean"], old["mean"].astype(np.float32))


def test_running_statistics_keep_nine_tenths_of_themselves(network):
    old = jax.tree.map(np.float64, network[1]["batch_stats"]["conv2_norm"])
    before, _, new = run(network, train=True)
    for name, batch in (("mean", before.mean(axis=(0, 1, 2))), ("var", before.var(axis=(0, 1, 2)))):
        expected = MOMENTUM * old[name] + (1 - MOMENTUM) * batch
        assert_near(new[name], expected)


def test_statistics_stay_float32_where_products_are_bfloat16():
    model = create_model("tiny", num_classes=4, dtype=jnp.bfloat16, modifications=["batch_norm"])
    variables = jax.eval_shape(lambda: initialize(model))
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


def test_it_follows_each_convolution_and_takes_the_norms_of_2012_away():
    spec = create_model("original", modifications=["batch_norm"]).spec
    assert [layer.after for layer in spec.convolutions] == [
        ("batch_norm", "pool", "activation"),
        ("batch_norm", "activation", "pool"),
        ("batch_norm", "activation"),
        ("batch_norm", "activation"),
        ("batch_norm", "pool", "activation"),
    ]


def test_biases_that_it_would_subtract_are_left_out(network):
    params = network[1]["params"]
    assert set(params["conv1"]) == {"kernel"}
    assert set(params["fc6"]) == {"kernel", "bias"}


def test_a_network_without_has_no_statistics():
    model = create_model("tiny", num_classes=4)
    assert set(jax.eval_shape(lambda: initialize(model))) == {"params"}


def test_the_table_has_a_row_for_each_norm():
    rows = {
        row.name: row
        for row in describe_layers(create_model("caffe", modifications=["batch_norm"]), 227)
    }
    assert (rows["conv1"].parameters, rows["conv1_norm"].parameters) == (34_848, 192)
    assert rows["conv1_norm"].multiply_adds == 0
    assert sum(row.multiply_adds for row in rows.values()) == 724_406_816
