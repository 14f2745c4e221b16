"""The sums of each layer, and what is kept of them."""

import jax
import numpy as np
import pytest
from flax import linen as nn

from alexnet_jax.models import create_model
from alexnet_jax.models.ops import conv2d
from alexnet_jax.report.units import (
    exciting_images,
    find_maxima,
    firing_rates,
    in_order,
    layer_sums,
)


def make_network(*modifications):
    model = create_model("tiny", num_classes=10, modifications=modifications)
    crops = jax.random.normal(jax.random.key(1), (2, 80, 80, 3)) * 50
    return model, model.init(jax.random.key(0), crops, train=False), crops


@pytest.fixture(scope="module")
def normalized():
    return make_network("batch_norm")


@pytest.fixture(scope="module", params=["plain", "normalized"])
def network(request):
    return make_network() if request.param == "plain" else request.getfixturevalue("normalized")


@pytest.mark.slow
def test_the_last_layers_sums_are_the_logits(network):
    model, variables, crops = network
    sums = layer_sums(model, variables, crops)
    assert list(sums)[-1] == "fc8"
    np.testing.assert_array_equal(sums["fc8"], model.apply(variables, crops, train=False))


def test_all_layers_are_there_in_their_order(network):
    layers = list(layer_sums(*network))
    assert layers == [f"conv{n}" for n in range(1, 6)] + ["fc6", "fc7", "fc8"]


def test_the_sums_of_a_normalised_layer_come_after_its_normalization(normalized):
    model, variables, crops = normalized
    row, params = model.spec.convolutions[0], variables["params"]
    plain = conv2d(crops, params["conv1"]["kernel"], row.stride, row.padding, row.groups)
    norm = nn.BatchNorm(use_running_average=True, epsilon=model.spec.batch_normalization.epsilon)
    expected = norm.apply(
        {"params": params["conv1_norm"], "batch_stats": variables["batch_stats"]["conv1_norm"]},
        plain,
    )
    np.testing.assert_allclose(layer_sums(*normalized)["conv1"], expected, rtol=1e-4, atol=1e-4)


def test_ten_follows_nine_and_the_output_is_last():
    assert in_order(["conv10", "fc1", "conv9", "conv1"], "fc1") == [
        "conv1",
        "conv9",
        "conv10",
        "fc1",
    ]


def test_maxima_name_their_row_and_column():
    maps = np.zeros((2, 3, 5, 4), np.float32)
    maps[1, 2, 3, 0] = 7
    highest, place, active, square = find_maxima(maps)
    assert highest[1, 0] == 7 and tuple(place[1, 0]) == (2, 3)
    np.testing.assert_allclose(active[:, 0], [0, 1 / 15])
    np.testing.assert_allclose(square[:, 0], [0, 49 / 15])


def test_images_are_ranked_by_each_unit_of_its_own():
    highest = np.array([[1.0, 9.0], [5.0, 2.0], [3.0, 4.0]])
    assert exciting_images(highest, 2).tolist() == [[1, 2], [0, 2]]


def test_a_unit_that_is_never_above_zero_has_the_rate_zero():
    assert firing_rates(np.array([[0.0, -1.0, 2.0], [0.0, 3.0, 4.0]])).tolist() == [0, 0.5, 1]
