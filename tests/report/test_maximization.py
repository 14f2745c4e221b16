"""Images made to excite a unit do."""

import numpy as np
import pytest

from alexnet_jax.report.maximization import maximize_units
from alexnet_jax.report.units import layer_sums

UNITS = {"conv2": [3, 0], "fc8": [7]}


@pytest.fixture(scope="module")
def made(trained):
    return maximize_units(trained.network, trained.state.variables, UNITS)


def sums_of(trained, pixels, layer):
    network = trained.network
    sums = np.asarray(
        layer_sums(network.model, trained.state.variables, network.preprocessing(pixels))[layer]
    )
    return sums[:, sums.shape[1] // 2, sums.shape[2] // 2] if sums.ndim == 4 else sums


@pytest.mark.slow
def test_there_is_one_image_for_each_unit(made):
    assert {layer: images.shape for layer, images in made.items()} == {
        "conv2": (2, 80, 80, 3),
        "fc8": (1, 80, 80, 3),
    }


@pytest.mark.slow
@pytest.mark.parametrize("layer", UNITS)
def test_the_unit_is_more_excited_than_by_any_of_many_photographs(
    trained, made, photographs, layer
):
    highest = sums_of(trained, photographs, layer).max(axis=0)
    excited = sums_of(trained, made[layer], layer)
    for row, unit in enumerate(UNITS[layer]):
        assert excited[row, unit] > highest[unit]
