"""What a network gets wrong: the worst images, confused pairs, changed answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alexnet_jax.report.sample import Sample


@dataclass(frozen=True)
class Confusion:
    """Images of one class that are taken for another."""

    label: int
    answer: int
    count: int  # Of such images.
    of: int  # Images of the class.


def worst_images(sample: Sample, views: str, count: int) -> np.ndarray:
    """Return the images with the least probability for their label among the wrong ones."""
    wrong = np.flatnonzero(sample.ranking(views)[:, 0] != sample.labels)
    order = np.argsort(sample.own_probability(views)[wrong], kind="stable")
    return wrong[order[:count]]


def confused_pairs(sample: Sample, views: str, count: int) -> list[Confusion]:
    """Return the most frequent (label, wrong answer) pairs, the most frequent first."""
    answers = sample.ranking(views)[:, 0]
    wrong = answers != sample.labels
    pairs, counts = np.unique(
        np.stack([sample.labels[wrong], answers[wrong]], axis=1), axis=0, return_counts=True
    )
    order = np.argsort(-counts, kind="stable")[:count]
    of = np.bincount(sample.labels)
    return [
        Confusion(int(label), int(answer), int(number), int(of[label]))
        for (label, answer), number in zip(pairs[order], counts[order], strict=True)
    ]


@dataclass(frozen=True)
class Change:
    """How answers change from the centre crop to ten crops, in images."""

    mended: int
    broken: int
    examples: Sequence[int]  # Of images whose first answer changes.


def from_center_to_ten(sample: Sample, count: int) -> Change:
    """Compare the first answers of the two kinds of views."""
    center, ten = (sample.ranking(views)[:, 0] for views in ("center", "ten_crop"))
    right, right_ten = center == sample.labels, ten == sample.labels
    return Change(
        mended=int(np.sum(~right & right_ten)),
        broken=int(np.sum(right & ~right_ten)),
        examples=np.flatnonzero(right != right_ten)[:count].tolist(),
    )


def nearest_images(queries: np.ndarray, features: np.ndarray, count: int) -> np.ndarray:
    """Return the nearest rows of `features` by Euclidean distance, int [queries, count]."""
    distances = (
        np.sum(queries**2, axis=1)[:, None]
        - 2 * queries @ features.T
        + np.sum(features**2, axis=1)[None]
    )
    return np.argsort(distances, axis=1, kind="stable")[:, :count]
