import jax
import numpy as np
import pytest

from alexnet_jax.data.mixup import mix_images


def mix(mixup, count, seed=0):
    """Mix images of one pixel that hold their number, which is their label too."""
    labels = np.arange(count, dtype=np.int32)
    images = labels.astype(np.float32)[:, None, None, None]
    return jax.device_get(mix_images(jax.random.key(seed), images, labels, mixup))


def test_an_image_is_mixed_with_the_one_before_it_as_its_share_says():
    mixed = mix(0.5, 64)
    before = np.roll(np.arange(64), 1)
    np.testing.assert_array_equal(mixed.other_labels, before)
    expected = mixed.share * np.arange(64) + (1 - mixed.share) * before
    np.testing.assert_allclose(mixed.images[:, 0, 0, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("mixup", [0.2, 1.0])
def test_the_larger_shares_have_the_variance_of_the_beta_distribution_about_one_half(mixup):
    """That of Beta(a, a) is 1 / (4·(2a + 1)); the smaller shares mirror the larger."""
    share = mix(mixup, 20_000).share
    assert share.min() >= 0.5
    assert share.max() <= 1
    assert np.mean((share - 0.5) ** 2) == pytest.approx(1 / (4 * (2 * mixup + 1)), rel=0.03)


def test_shares_depend_on_the_key():
    assert not np.allclose(mix(0.2, 64).share, mix(0.2, 64, seed=1).share)
