from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from alexnet_jax.data.augment import (
    Augmentation,
    add_color_noise,
    color_shift,
    cut_by_products,
    random_crop,
    random_flip,
)
from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.training.schedule import piecewise

pytestmark = pytest.mark.usefixtures("compiled_without_optimization")


@pytest.fixture
def numbered():
    """64 images whose pixel at (row, column) is 8·row + column."""
    rows, columns = np.mgrid[:8, :8]
    image = np.repeat((8 * rows + columns)[..., None], 3, axis=-1).astype(np.uint8)
    return jnp.asarray(np.broadcast_to(image, (64, 8, 8, 3)))


AXES, STD = np.eye(3, dtype=np.float32), np.float32([3, 2, 1])


def color(noise):
    """The color noise, `noise` a function of completed steps."""
    return partial(add_color_noise, color_noise=noise, pca_eigenvectors=AXES, pca_std=STD)


def make(mean=0.0, **parts):
    mean_image = np.full((8, 8, 3), mean, np.float32)
    return Augmentation(Preprocessing(mean_image, np.ones(3, np.float32)), crop_size=6, **parts)


def test_crops_are_windows_of_their_images(numbered):
    for crop in np.asarray(random_crop(jax.random.key(0), numbered, 6, 1)):
        top, left = divmod(int(crop[0, 0, 0]), 8)
        np.testing.assert_array_equal(crop, numbered[0, top : top + 6, left : left + 6])


def test_crops_by_products_are_the_same_pixels(numbered):
    offsets = jnp.array([[0, 0], [2, 1], [1, 2], [2, 2]], jnp.int32)
    images = jnp.concatenate([numbered[:2], 255 - numbered[:2]])
    for crop, image, (top, left) in zip(
        cut_by_products(images, offsets, 6), images, offsets.tolist(), strict=True
    ):
        np.testing.assert_array_equal(crop, image[top : top + 6, left : left + 6])


def test_all_values_of_a_pixel_survive_products():
    pixels = jnp.arange(256, dtype=jnp.uint8).reshape(1, 16, 16, 1)
    crop = cut_by_products(pixels, jnp.zeros((1, 2), jnp.int32), 16)
    np.testing.assert_array_equal(crop, pixels)


@pytest.mark.slow
def test_crops_reach_every_offset(numbered):
    corners = {int(crop[0, 0, 0]) for crop in random_crop(jax.random.key(0), numbered, 6, 1)}
    assert corners == {8 * top + left for top in range(3) for left in range(3)}


def test_the_crops_of_a_key_never_change(numbered):
    """A run that goes on must draw what it would have drawn, whatever the version of the code."""
    corners = np.asarray(random_crop(jax.random.key(0), numbered[:8], 6, 1))[:, 0, 0, 0]
    assert corners.tolist() == [8, 17, 16, 2, 0, 8, 8, 17]


def test_the_flips_of_a_key_never_change(numbered):
    mirrored = np.asarray(random_flip(jax.random.key(0), numbered[:8], 1))[:, 0, 0, 0] == 7
    assert mirrored.tolist() == [False, False, True, True, False, True, True, False]


def test_the_colors_of_a_key_never_change():
    shift = color_shift(jax.random.key(0), 1, AXES, STD)
    np.testing.assert_allclose(shift, [[4.86793, 4.05053, -0.43359]], rtol=1e-4)


def test_colors_are_multiplied_in_float32_on_every_platform():
    draw = jax.jit(
        lambda key: color_shift(key, 1, np.eye(3, dtype=np.float32), np.ones(3, np.float32))
    )
    assert "precision = [HIGHEST, HIGHEST]" in draw.lower(jax.random.key(0)).as_text()


@pytest.mark.slow
def test_the_color_is_added(numbered):
    key, augment = jax.random.key(0), make(augments={"color_noise": color(lambda step: 0.1)})
    shift = color_shift(jax.random.split(key, 3)[2], 64, AXES, STD)
    expected = np.float32(numbered[:, 1:7, 1:7]) + 0.1 * np.asarray(shift)[:, None, None]
    np.testing.assert_allclose(augment(key, numbered, 0), expected, rtol=1e-6, atol=1e-5)


def test_flips_mirror_about_half_of_the_images(numbered):
    flipped = np.asarray(random_flip(jax.random.key(0), numbered, 1))
    mirrored = (flipped == numbered[:, :, ::-1]).all(axis=(1, 2, 3))
    same = (flipped == numbered).all(axis=(1, 2, 3))
    assert np.all(mirrored ^ same)
    assert 20 < mirrored.sum() < 44


def test_each_image_has_an_offset_of_its_own(numbered):
    corners = np.asarray(random_crop(jax.random.key(0), numbered, 6, 1))[:, 0, 0, 0]
    assert np.sum(corners[::2] != corners[1::2]) > 20, "of 32 pairs about 28 differ"


def test_all_offsets_are_equally_likely():
    images = jnp.broadcast_to(jnp.arange(9).reshape(1, 3, 3, 1), (9000, 3, 3, 1))
    counts = np.bincount(random_crop(jax.random.key(0), images, 1, 1).ravel(), minlength=9)
    assert np.all(np.abs(counts - 1000) < 150), "five deviations; twice as many would be 2000"


def test_each_image_has_a_flip_of_its_own(numbered):
    mirrored = np.asarray(random_flip(jax.random.key(0), numbered, 1))[:, 0, 0, 0] == 7
    assert 6 < np.sum(mirrored[::2] != mirrored[1::2]) < 26, "of 32 pairs about 16 differ"


def test_consecutive_images_can_share_a_crop_and_a_flip(numbered):
    corners = np.asarray(random_crop(jax.random.key(0), numbered, 6, group_size=32))[:, 0, 0, 0]
    mirrored = np.asarray(random_flip(jax.random.key(4), numbered, group_size=32))[:, 0, 0, 0] == 7
    for half in (slice(0, 32), slice(32, 64)):
        assert len(set(corners[half])) == len(set(mirrored[half])) == 1
    assert len(set(corners)) == 2


def test_the_augmentations_follow_the_crop_in_the_order_given(numbered):
    augments = {
        "double": lambda key, images: images.astype(jnp.float32) * 2,
        "add": lambda key, images, step: images + step,
    }
    result = make(augments=augments)(jax.random.key(0), numbered, 5)
    np.testing.assert_array_equal(result, np.float32(numbered[:, 1:7, 1:7]) * 2 + 5)


def test_an_augmentation_draws_the_same_whatever_is_beside_it(numbered):
    def noise(key, images):
        return images.astype(jnp.float32) + jax.random.normal(key, (len(images), 1, 1, 1))

    def nothing(key, images):
        return images

    key = jax.random.key(0)
    alone = make(augments={"noise": noise})(key, numbered, 0)
    beside = make(augments={"nothing": nothing, "noise": noise})(key, numbered, 0)
    np.testing.assert_array_equal(alone, beside)
    other = make(augments={"other": noise})(key, numbered, 0)
    assert not np.allclose(alone, other), "two of them draw differently"


def test_without_chance_the_result_is_the_center_minus_the_mean(numbered):
    result = make(mean=7.0)(jax.random.key(0), numbered, 0)
    np.testing.assert_array_equal(result, np.float32(numbered[:, 1:7, 1:7]) - 7.0)


def test_color_moves_all_pixels_of_an_image_alike_and_divides(numbered):
    augment = make(augments={"color_noise": color(lambda step: 0.1)}, divisor=lambda step: 1.1)
    shift = np.asarray(augment(jax.random.key(0), numbered, 0)) * 1.1
    shift = shift - np.float32(numbered[:, 1:7, 1:7])
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:, :1, :1], shift.shape), atol=1e-4)
    assert np.unique(shift[:, 0, 0, 0].round(5)).size == 64, "each image has a draw of its own"


def test_the_noise_is_in_units_of_the_deviations():
    black = jnp.zeros((4096, 8, 8, 3), jnp.uint8)
    augment = make(augments={"color_noise": color(lambda step: 0.1)})
    shift = augment(jax.random.key(0), black, 0)[:, 0, 0]
    np.testing.assert_allclose(np.std(shift, axis=0), [0.3, 0.2, 0.1], rtol=0.05)


def test_color_has_the_covariance_of_the_training_set():
    axes, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    std = np.array([121.8, 37.1, 19.7])
    draws = color_shift(jax.random.key(0), 100_000, np.float32(axes), np.float32(std))
    expected = axes @ np.diag(std**2) @ axes.T
    covariance = np.cov(np.asarray(draws, np.float64).T)
    np.testing.assert_allclose(covariance, expected, atol=0.02 * np.abs(expected).max())


@pytest.mark.slow
def test_a_draw_does_not_depend_on_how_the_batch_is_sharded(numbered):
    crop = partial(random_crop, group_size=1)
    flip = partial(random_flip, group_size=1)
    augments = {"flip": flip, "color_noise": color(lambda step: 0.1)}
    augment = jax.jit(make(crop=crop, augments=augments))
    mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    split = jax.device_put(numbered, jax.NamedSharding(mesh, jax.P("data")))
    key = jax.random.key(0)
    np.testing.assert_array_equal(augment(key, split, 0), augment(key, numbered, 0))


def test_color_noise_can_end_with_a_step(numbered):
    augment = make(augments={"color_noise": color(piecewise([0.1, 0.0], [5]))})
    key = jax.random.key(0)
    plain = np.float32(numbered[:, 1:7, 1:7])
    assert not np.allclose(augment(key, numbered, jnp.int32(4)), plain)
    np.testing.assert_array_equal(augment(key, numbered, jnp.int32(5)), plain)
