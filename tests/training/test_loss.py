import numpy as np
import pytest

from alexnet_jax.training.loss import cross_entropy, smoothed_cross_entropy


@pytest.fixture
def logits():
    return np.random.default_rng(0).normal(0, 3, (5, 4)).astype(np.float32)


LABELS = np.array([0, 3, 1, 1, 2], np.int32)


def negative_logarithms(logits):
    wide = logits.astype(np.float64)
    return np.log(np.exp(wide).sum(axis=1, keepdims=True)) - wide


@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_smoothed_labels_give_each_class_its_part_and_the_label_the_rest(logits, smoothing):
    targets = np.full((5, 4), smoothing / 4)
    targets[np.arange(5), LABELS] += 1 - smoothing
    expected = (targets * negative_logarithms(logits)).sum(axis=1)
    found = smoothed_cross_entropy(logits, LABELS, smoothing)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_without_smoothing_the_loss_is_that_of_the_label_alone(logits):
    expected = negative_logarithms(logits)[np.arange(5), LABELS]
    np.testing.assert_allclose(cross_entropy(logits, LABELS), expected, rtol=1e-5)
