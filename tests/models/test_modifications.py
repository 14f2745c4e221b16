from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled_network import apply, init

from alexnet_jax.errors import UserError
from alexnet_jax.models import MODELS, MODIFICATIONS, Spec, create_model
from alexnet_jax.models.modifications import apply_modifications


def after(name, *changes):
    return [layer.after for layer in create_model(name, modifications=changes).spec.convolutions]


def count(name, *changes):
    model = create_model(name, modifications=changes)
    images = jnp.zeros((1, model.spec.crop_size, model.spec.crop_size, 3))
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), images, train=False))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


@pytest.mark.slow
@pytest.mark.parametrize("change", MODIFICATIONS)
def test_every_change_of_the_original_can_be_computed(change):
    model = create_model("original", num_classes=5, modifications=[change])
    images = jnp.zeros((2, 224, 224, 3))
    key = jax.random.key(0)
    logits, _ = jax.eval_shape(
        lambda: model.init_with_output({"params": key, "dropout": key}, images, train=True)
    )
    assert logits.shape == (2, 5)


def test_a_network_without_groups_is_the_single_tower():
    assert count("original", "no_groups") == count("single_tower") == 62_378_344


@pytest.mark.parametrize(
    ("change", "order"),
    [
        ("lrn_after_activation", ("pool", "activation", "lrn")),
        ("lrn_after_pool", ("pool", "lrn", "activation")),
        ("lrn_before_activation", ("pool", "lrn", "activation")),
    ],
)
def test_normalisation_moves_within_a_layer(change, order):
    assert after("original", change)[0] == order


def test_a_layer_left_out_leaves_its_pooling_behind():
    assert after("original", "without_conv5")[-1] == ("activation", "pool")


def test_changes_add_up():
    spec = create_model("original", modifications=["no_lrn", "tanh"]).spec
    assert (spec.normalization, spec.activation) == (None, "tanh")


def test_the_tables_themselves_stay_as_they_are():
    create_model("original", modifications=["no_dropout"])
    assert MODELS["original"].dropout is not None


@pytest.mark.slow
def test_separate_columns_meet_only_at_the_output():
    model = create_model("tiny", num_classes=4, modifications=["separate_columns", "no_dropout"])
    images = jax.random.normal(jax.random.key(1), (1, 80, 80, 3))
    params = init(model, images)["params"]

    def hidden(params):
        _, seen = apply(model, {"params": params}, images, capture_intermediates=True)
        return np.asarray(seen["intermediates"]["fc7"]["__call__"][0])

    kernel = params["conv1"]["kernel"].at[..., :6].multiply(3.0)  # The first column's half.
    changed = params | {"conv1": params["conv1"] | {"kernel": kernel}}
    before, now = hidden(params), hidden(changed)
    np.testing.assert_array_equal(before[:, 128:], now[:, 128:])
    assert not np.allclose(before[:, :128], now[:, :128])


def test_a_network_that_is_a_class_takes_no_changes():
    spec = Spec(source="none", crop_size=8, module=object)
    assert apply_modifications(spec, ()) is spec
    with pytest.raises(UserError, match="'tanh',.*need a network that is a table"):
        apply_modifications(spec, ["tanh"])


def test_a_network_that_is_a_class_names_its_output_layer():
    spec = Spec(source="none", crop_size=8, module=object)
    assert spec.output_name == "fc1"
    assert replace(spec, output_layer="logits").output_name == "logits"


def test_an_unknown_change_lists_the_known_ones():
    with pytest.raises(UserError, match="no modification 'no_norm'; the known ones: no_lrn"):
        create_model("tiny", modifications=["no_norm"])


@pytest.mark.parametrize(
    ("change", "stds", "biases"),
    [
        ("init_paper", [0.01] * 5, [0, 1, 0, 1, 1]),
        ("init_caffe", [0.01] * 5, [0, 0.1, 0, 0.1, 0.1]),
        ("init_original", [0.01, 0.01, 0.03, 0.03, 0.03], [0, 1, 0, 1, 1]),
        ("zero_biases", [0.01, 0.01, 0.03, 0.03, 0.03], [0, 0, 0, 0, 0]),
    ],
)
def test_initial_values_by_name(change, stds, biases):
    layers = create_model("original", modifications=[change]).spec.convolutions
    assert [layer.kernel_std for layer in layers] == stds
    assert [layer.bias for layer in layers] == biases


@pytest.mark.slow
def test_he_initialisation_has_twice_the_inverse_fan_in_as_variance():
    model = create_model("tiny", modifications=["init_he"])
    params = init(model, jnp.zeros((1, 80, 80, 3)))["params"]
    kernel = np.asarray(params["conv2"]["kernel"])  # Each sees 5 x 5 pixels of 6 channels.
    assert kernel.var() * 150 / 2 == pytest.approx(1, rel=0.1)
    assert not params["conv2"]["bias"].any()


def test_zero_biases_are_those_of_dense_layers_too():
    assert [layer.bias for layer in create_model("original").spec.dense] == [1, 1]
    changed = create_model("original", modifications=["zero_biases"]).spec
    assert [layer.bias for layer in changed.dense] == [0, 0]


def test_one_column_halves_all_kernels_but_the_last():
    spec = create_model("tiny", modifications=["one_column"]).spec
    assert [layer.features for layer in spec.convolutions] == [6, 16, 24, 24, 32]
    assert {layer.groups for layer in spec.convolutions} == {1}
