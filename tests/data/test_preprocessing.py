import jax.numpy as jnp
import numpy as np
import pytest

from alexnet_jax.data.preprocessing import Preprocessing, center_crop


def test_center_crop_of_256_to_224_starts_at_16():
    images = jnp.arange(256)[None, :, None, None] * jnp.ones((1, 1, 256, 1), jnp.int32)
    assert center_crop(images, 224)[0, 0, 0, 0] == 16


def test_crops_lose_the_center_of_the_mean_and_are_divided_by_channel():
    mean = np.arange(4 * 4 * 3, dtype=np.float32).reshape(4, 4, 3)
    crops = jnp.full((1, 2, 2, 3), 100, jnp.uint8)
    std = np.float32([1, 2, 4])
    actual = Preprocessing(mean, std)(crops)
    np.testing.assert_array_equal(actual[0], (100 - mean[1:3, 1:3]) / std)


@pytest.mark.parametrize("shape", [(4, 4), (4, 5, 3), (5, 4, 3), (4, 4, 4)])
def test_a_mean_that_is_no_square_image_of_three_channels_is_refused(shape):
    with pytest.raises(ValueError, match="mean image is"):
        Preprocessing(np.zeros(shape, np.float32), np.ones(3, np.float32))


def test_a_mean_with_one_number_that_is_not_finite_is_refused():
    mean = np.zeros((4, 4, 3), np.float32)
    mean[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        Preprocessing(mean, np.ones(3, np.float32))


@pytest.mark.parametrize("std", [[1], [1, 1, 0], [1, -1, 1], [1, 1, np.inf], [np.nan, 1, 1]])
def test_deviations_that_nothing_can_be_divided_by_are_refused(std):
    with pytest.raises(ValueError, match="its deviations"):
        Preprocessing(np.zeros((4, 4, 3), np.float32), np.float32(std))
