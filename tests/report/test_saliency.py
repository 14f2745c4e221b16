"""Maps of the pixels on which an answer rests."""

import jax
import numpy as np
import pytest

from alexnet_jax.report.saliency import SaliencyMapper


@pytest.fixture(scope="module")
def mapper(trained):
    return SaliencyMapper(trained.network, trained.state.variables)


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(0).integers(0, 256, (10, 80, 80, 3), np.uint8)


def test_maps_go_from_zero_to_one(mapper, crops):
    maps = mapper(crops, np.arange(10))
    assert maps.shape == (10, 80, 80) and maps.min() >= 0 and maps.max() == 1


def test_an_images_map_does_not_depend_on_the_others(mapper, crops):
    together, alone = mapper(crops, np.arange(10)), mapper(crops[9:], np.array([9]))
    # The place in the batch decides the noise; its average hardly.
    correlation = np.corrcoef(together[9].ravel(), alone[0].ravel())[0, 1]
    assert correlation > 0.8


def test_pixels_that_the_network_never_reads_are_zero(mapper, crops, trained):
    # conv1 takes windows of 11 pixels, every 2: the last of the 80 columns is in none of them.
    row = trained.network.model.spec.convolutions[0]
    read = (80 + sum(row.padding) - row.window) // row.stride * row.stride + row.window
    maps = mapper(crops[:1], np.array([3]))
    assert read < 80 + row.padding[0]
    assert not maps[0, :, read:].any() and not maps[0, read:].any()
    assert jax.numpy.any(maps[0, :, :read])
