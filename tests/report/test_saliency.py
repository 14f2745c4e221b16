"""Maps of the pixels on which an answer rests."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.models import create_model
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


@pytest.mark.slow
def test_pixels_that_no_window_reads_are_zero(crops):
    # At stride 2, windows of 11 over 79 of 80 pixels: the last row and column are in none of them.
    model = create_model("tiny", num_classes=10)
    first = replace(model.spec.convolutions[0], padding=(0, 0), stride=2)
    spec = replace(model.spec, convolutions=(first, *model.spec.convolutions[1:]))
    model = model.clone(spec=spec)
    variables = model.init(jax.random.key(0), jnp.zeros((1, 80, 80, 3)), train=False)
    gray = Preprocessing(np.full((96, 96, 3), 128, np.float32), np.ones(3, np.float32))
    maps = SaliencyMapper(SimpleNamespace(model=model, preprocessing=gray), variables)(
        crops[:1], np.array([3])
    )
    assert not maps[0, :, 79].any() and not maps[0, 79].any()
    assert maps[0, :, 78].any() and maps[0, 78].any()
