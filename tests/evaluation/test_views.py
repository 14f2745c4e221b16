import jax.numpy as jnp
import numpy as np
import pytest

from alexnet_jax.evaluation.views import (
    CENTER,
    cut_view,
    first_of_same_pixels,
    ten_crop_offsets,
)


def test_offsets_are_those_of_the_2012_code():
    assert ten_crop_offsets(256, 224) == [(0, 0), (0, 32), (16, 16), (32, 0), (32, 32)]


@pytest.mark.parametrize("number", range(10))
def test_views_are_five_windows_and_their_mirror_images(number):
    images = jnp.arange(2 * 12 * 12 * 3).reshape(2, 12, 12, 3)
    top, left = [(0, 0), (0, 4), (2, 2), (4, 0), (4, 4)][number % 5]
    expected = images[:, top : top + 8, left : left + 8]
    if number >= 5:
        expected = expected[:, :, ::-1]
    np.testing.assert_array_equal(cut_view(images, number, 8), expected)


def test_the_center_is_the_third_view():
    assert ten_crop_offsets(256, 224)[CENTER] == (16, 16)


@pytest.mark.parametrize(
    ("image_size", "firsts"),
    [(8, [0, 0, 0, 0, 0, 5, 5, 5, 5, 5]), (9, [0, 1, 0, 3, 4, 5, 6, 5, 8, 9]), (10, range(10))],
)
def test_views_of_the_same_pixels_are_known(image_size, firsts):
    found = [first_of_same_pixels(number, image_size, crop_size=8) for number in range(10)]
    assert found == list(firsts)
