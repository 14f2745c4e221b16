"""Images that a network gets wrong, that change with the views, and that are near each other."""

import numpy as np

from alexnet_jax.report.sample import Sample


def worst_images(sample: Sample, views: str, count: int) -> np.ndarray:
    """Return the images with the least probability for their label among the wrong ones."""
    wrong = np.flatnonzero(sample.ranking(views)[:, 0] != sample.labels)
    order = np.argsort(sample.probabilities[views][wrong, sample.labels[wrong]], kind="stable")
    return wrong[order[:count]]


def from_center_to_ten(sample: Sample) -> tuple[int, int, np.ndarray]:
    """Compare the first answers of the center crop and of ten crops.

    Returns:
        How many images ten crops mend, how many they break, and which these are.
    """
    center, ten = (sample.ranking(views)[:, 0] == sample.labels for views in ("center", "ten_crop"))
    return int(np.sum(~center & ten)), int(np.sum(center & ~ten)), np.flatnonzero(center != ten)


def nearest_images(queries: np.ndarray, features: np.ndarray, count: int) -> np.ndarray:
    """Return the nearest rows of `features` by Euclidean distance, int [queries, count]."""
    distances = (
        np.sum(queries**2, axis=1)[:, None]
        - 2 * queries @ features.T
        + np.sum(features**2, axis=1)[None]
    )
    return np.argsort(distances, axis=1, kind="stable")[:, :count]
