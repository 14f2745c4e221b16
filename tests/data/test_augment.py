from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from alexnet_jax.data.augment import (
    Augmentation,
    color_shift,
    random_crop,
    random_flip,
)
from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.training.schedule import piecewise


@pytest.fixture
def numbered():
    """64 images whose pixel at (row, column) is 8·row + column."""
    rows, columns = np.mgrid[:8, :8]
    image = np.repeat((8 * rows + columns)[..., None], 3, axis=-1).astype(np.uint8)
    return jnp.asarray(np.broadcast_to(image, (64, 8, 8, 3)))


def make(crop=None, flip=False, group_size=1, color_noise=None, color_rescale=True, mean=0.0):
    return Augmentation(
        preprocessing=Preprocessing(np.full((8, 8, 3), mean, np.float32), np.ones(3, np.float32)),
        crop_size=6,
        pca_eigenvectors=np.eye(3, dtype=np.float32),
        pca_std=np.array([3.0, 2.0, 1.0], np.float32),
        crop=crop,
        flip=flip,
        group_size=group_size,
        color_noise=color_noise,
        color_rescale=color_rescale,
    )


def test_crops_are_windows_of_their_images(numbered):
    for crop in np.asarray(random_crop(jax.random.key(0), numbered, 6, 1)):
        top, left = divmod(int(crop[0, 0, 0]), 8)
        np.testing.assert_array_equal(crop, numbered[0, top : top + 6, left : left + 6])


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


def test_the_colours_of_a_key_never_change():
    axes, std = np.eye(3, dtype=np.float32), np.float32([3, 2, 1])
    shift = color_shift(jax.random.key(0), 1, axes, std)
    np.testing.assert_allclose(shift, [[4.86793, 4.05053, -0.43359]], rtol=1e-4)


def test_colours_are_multiplied_in_float32_on_every_platform():
    draw = jax.jit(
        lambda key: color_shift(key, 1, np.eye(3, dtype=np.float32), np.ones(3, np.float32))
    )
    assert "precision = [HIGHEST, HIGHEST]" in draw.lower(jax.random.key(0)).as_text()


@pytest.mark.slow
def test_the_colour_is_added(numbered):
    key, augment = jax.random.key(0), make(color_noise=lambda step: 0.1, color_rescale=False)
    shift = color_shift(jax.random.split(key, 3)[2], 64, augment.pca_eigenvectors, augment.pca_std)
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


def test_an_augmentation_flips_its_share_alike(numbered):
    flipped = np.asarray(make(flip=True, group_size=32)(jax.random.key(4), numbered, 0))[:, 0, 0, 0]
    assert len(set(flipped[:32])) == len(set(flipped[32:])) == 1


def test_without_chance_the_result_is_the_centre_minus_the_mean(numbered):
    result = make(mean=7.0)(jax.random.key(0), numbered, 0)
    np.testing.assert_array_equal(result, np.float32(numbered[:, 1:7, 1:7]) - 7.0)


def test_colour_moves_all_pixels_of_an_image_alike_and_divides(numbered):
    result = np.asarray(make(color_noise=lambda step: 0.1)(jax.random.key(0), numbered, 0))
    shift = result * 1.1 - np.float32(numbered[:, 1:7, 1:7])
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:, :1, :1], shift.shape), atol=1e-4)
    assert np.unique(shift[:, 0, 0, 0].round(5)).size == 64, "each image has a draw of its own"


def test_the_noise_is_in_units_of_the_deviations():
    black = jnp.zeros((4096, 8, 8, 3), jnp.uint8)
    augment = make(color_noise=lambda step: 0.1, color_rescale=False)
    shift = augment(jax.random.key(0), black, 0)[:, 0, 0]
    np.testing.assert_allclose(np.std(shift, axis=0), [0.3, 0.2, 0.1], rtol=0.05)


@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_rescaling_divides_by_one_plus_the_noise(numbered, noise):
    scaled, plain = (
        make(color_noise=lambda step: noise, color_rescale=rescale)(jax.random.key(0), numbered, 0)
        for rescale in (True, False)
    )
    np.testing.assert_allclose(scaled, plain / (1 + noise), rtol=1e-6)


def test_colour_has_the_covariance_of_the_training_set():
    axes, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    std = np.array([121.8, 37.1, 19.7])
    draws = color_shift(jax.random.key(0), 100_000, np.float32(axes), np.float32(std))
    expected = axes @ np.diag(std**2) @ axes.T
    covariance = np.cov(np.asarray(draws, np.float64).T)
    np.testing.assert_allclose(covariance, expected, atol=0.02 * np.abs(expected).max())


@pytest.mark.slow
def test_a_draw_does_not_depend_on_how_the_batch_is_sharded(numbered):
    crop = partial(random_crop, group_size=1)
    augment = jax.jit(make(crop=crop, flip=True, color_noise=lambda step: 0.1))
    mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    split = jax.device_put(numbered, jax.NamedSharding(mesh, jax.P("data")))
    key = jax.random.key(0)
    np.testing.assert_array_equal(augment(key, split, 0), augment(key, numbered, 0))


def test_colour_noise_can_end_with_a_step(numbered):
    augment = make(color_noise=piecewise([0.1, 0.0], [5]))
    key = jax.random.key(0)
    plain = np.float32(numbered[:, 1:7, 1:7])
    assert not np.allclose(augment(key, numbered, jnp.int32(4)), plain)
    np.testing.assert_array_equal(augment(key, numbered, jnp.int32(5)), plain)
