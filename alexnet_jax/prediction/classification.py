"""Classification of image files."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alexnet_jax.evaluation.metrics import NotFiniteError
from alexnet_jax.prediction.batches import compute_ahead, read_batches
from alexnet_jax.prediction.classifier import Classifier


@dataclass(frozen=True)
class Prediction:
    """The most probable classes of an image, or why it cannot be read."""

    path: Path
    classes: list[tuple[int, float]]  # (label, probability), the most probable first.
    problem: str | None = None


def classify(
    classifier: Classifier, paths: Iterable[Path], views: str, top: int = 5
) -> Iterator[Prediction]:
    """Yield a prediction for each image, in order, in memory that their number does not change.

    Args:
        classifier: Classifier to apply.
        paths: Paths of the images, read a few batches ahead.
        views: One of `classifier.views`.
        top: Number of classes to return; all if there are fewer.

    Raises:
        NotFiniteError: the network predicts a number that is not finite.
    """
    batches = read_batches(
        paths, classifier.image_size, classifier.max_megapixels, classifier.batch_multiple
    )
    for batch, started in compute_ahead(
        lambda images: classifier.probabilities(images, views), batches
    ):
        probabilities = np.asarray(started)[: len(batch.paths)]
        if not np.isfinite(probabilities).all():
            raise NotFiniteError(
                f"{classifier.source} predicts numbers that are not finite: {classifier.way_out}"
            )
        best = np.argsort(-probabilities, axis=1, stable=True)[:, :top]
        values = np.take_along_axis(probabilities, best, axis=1)
        rows = zip(batch.paths, batch.problems, best.tolist(), values.tolist(), strict=True)
        for path, problem, labels, of_labels in rows:
            classes = [] if problem else list(zip(labels, of_labels, strict=True))
            yield Prediction(path, classes, problem)
