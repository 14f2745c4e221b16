"""What a report says of wrong answers, on a sample made by hand."""

import numpy as np
import pytest

from alexnet_jax.report.mistakes import from_center_to_ten, nearest_images, worst_images
from alexnet_jax.report.sample import Sample


@pytest.fixture
def sample():
    """Five images of three classes; images 1, 2 and 4 are wrong by the center crop."""
    center = np.array(
        [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.1, 0.7, 0.2], [0.0, 0.9, 0.1], [0.05, 0.9, 0.05]]
    )
    ten = center.copy()
    ten[1] = [0.6, 0.3, 0.1]  # Mended.
    ten[3] = [0.5, 0.4, 0.1]  # Broken.
    labels = np.array([0, 0, 2, 1, 0])
    return Sample(
        crops=np.zeros((5, 2, 2, 3), np.uint8),
        labels=labels,
        probabilities={"center": center, "ten_crop": ten},
        features=np.zeros((5, 1)),
        maxima={},
    )


def test_the_worst_image_gave_its_class_the_least_probability(sample):
    assert worst_images(sample, "center", 2).tolist() == [4, 2]


def test_ten_crops_mend_some_and_break_others(sample):
    mended, broken, changed = from_center_to_ten(sample)
    assert (mended, broken, changed.tolist()) == (1, 1, [1, 3])


def test_nearest_images_are_those_of_the_smallest_euclidean_distance():
    rng = np.random.default_rng(0)
    queries, features = rng.normal(size=(4, 6)), rng.normal(size=(30, 6))
    distances = np.linalg.norm(queries[:, None] - features[None], axis=-1)
    assert nearest_images(queries, features, 3).tolist() == np.argsort(distances)[:, :3].tolist()
