"""Evaluation of networks on a split: one pass over the images gives the scores of all views."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.evaluation.metrics import NotFiniteError, per_example_metrics, summarize
from alexnet_jax.evaluation.views import (
    CENTER,
    VIEW_TITLES,
    VIEWS,
    cut_view,
    first_of_same_pixels,
)
from alexnet_jax.models import AlexNet
from alexnet_jax.parallel.mesh import replicated, split_over_data
from alexnet_jax.parallel.partitioned_ops import partition_ops
from alexnet_jax.parallel.runtime import wait_on_cpus
from alexnet_jax.system.progress import Progress


@dataclass(frozen=True)
class Predictor:
    """A network with its parameters: (images, number of the view) -> probabilities.

    Attributes:
        predict: Function (uint8 [B, S, S, 3], number of the view) -> float32 [B, classes].
        crop_size: Side of the views in pixels.
    """

    predict: Callable[[jax.Array, int], jax.Array]
    crop_size: int

    def __call__(self, images: jax.Array, number: int) -> jax.Array:
        """Predict one view."""
        return wait_on_cpus(self.predict(images, number))

    def predict_views(self, images: jax.Array, numbers: Sequence[int]) -> dict[int, jax.Array]:
        """Predict several views; those with the same pixels are computed once."""
        size = images.shape[1]
        first = {number: first_of_same_pixels(number, size, self.crop_size) for number in numbers}
        computed = {number: self(images, number) for number in dict.fromkeys(first.values())}
        return {number: computed[first[number]] for number in numbers}


def make_view_predictor(
    model: AlexNet, preprocessing: Preprocessing, crop_size: int, mesh: Mesh
) -> Callable[[Any, jax.Array, int], jax.Array]:
    """Compile (variables, images, number of the view) -> probabilities [B, classes].

    The batch is split over the devices; the parameters keep their sharding.
    """
    partitioned_model = partition_ops(model, mesh)

    def predict(variables: Any, images: jax.Array, view: jax.Array) -> jax.Array:
        crops = preprocessing(cut_view(images, view, crop_size))
        return jax.nn.softmax(partitioned_model.apply(variables, crops, train=False))

    split, whole = split_over_data(mesh), replicated(mesh)
    return jax.jit(predict, in_shardings=(None, split, whole), out_shardings=split)


def view_probabilities(
    predictors: Sequence[Predictor], images: jax.Array, views: str
) -> dict[str, jax.Array]:
    """Average the probabilities of networks and views: {"center": [B, classes], "ten_crop": …}."""
    return _average(_predict_views(predictors, images, views))


def _predict_views(
    predictors: Sequence[Predictor], images: jax.Array, views: str
) -> dict[int, list[jax.Array]]:
    """Return, by view, the probabilities of each network, [B, classes]."""
    numbers = VIEWS[views]
    of_networks = [predictor.predict_views(images, numbers) for predictor in predictors]
    return {number: [predicted[number] for predicted in of_networks] for number in numbers}


def _average(by_view: Mapping[int, Sequence[jax.Array]]) -> dict[str, jax.Array]:
    def mean(arrays: Sequence[jax.Array]) -> jax.Array:
        return sum(arrays[1:], start=arrays[0]) / len(arrays)

    means = {view: mean(of_networks) for view, of_networks in by_view.items()}
    center = {"center": means[CENTER]}
    return center | {"ten_crop": mean(list(means.values()))} if len(means) > 1 else center


@dataclass(frozen=True, eq=False)
class SplitPredictions:
    """The predictions for a split of N examples, in its order, and their scores.

    Attributes:
        scores: Values of all `METRICS`, and the count of examples.
        labels: int32 [N].
        predicted: int32 [N], the most probable class; of equally probable ones the first.
        probabilities: float32 [N, classes], if requested.
    """

    scores: dict[str, float | int]
    labels: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray | None = None


def evaluate_split(
    predictors: Sequence[Predictor],
    batches: Iterable[Mapping[str, jax.Array]],
    count: int,
    views: str,
    mesh: Mesh,
    names: Sequence[str] = (),
    keep_probabilities: bool = False,
) -> dict[str, SplitPredictions]:
    """Evaluate networks, their probabilities averaged, on every example of a split.

    Args:
        predictors: One predictor per network.
        batches: Batches of `EvaluationBatches`, on the devices of `mesh`.
        count: Number of examples in the split.
        views: "center" or "ten_crop", which includes the scores of the center.
        mesh: Mesh of devices.
        names: Names of the networks for messages; by default numbers.
        keep_probabilities: Whether to keep probabilities: 4 bytes per example, class and view.

    Returns:
        By kind of view: predictions and scores.

    Raises:
        NotFiniteError: a network predicts a number that is not finite.
    """
    # In a cluster the results are replicated: each process sums over all examples. Not in a single
    # process: several CPU devices of one process must not run ahead with collectives.
    everywhere = replicated(mesh) if jax.process_count() > 1 else None
    score_rows = jax.jit(partial(_score_rows, keep_probabilities), out_shardings=everywhere)
    evaluated: dict[str, list[dict[str, jax.Array]]] = {}
    left = count
    with Progress(f"evaluating, {VIEW_TITLES[views]}", count, "images") as progress:
        for batch in batches:
            by_view = _predict_views(predictors, batch["image"], views)
            for kind, probabilities in _average(by_view).items():
                rows = score_rows(by_view, probabilities, batch["label"], batch["mask"])
                evaluated.setdefault(kind, []).append(rows)
            # Let the host run one batch ahead of the devices, not the whole split.
            jax.block_until_ready(evaluated["center"][-2:-1])
            size = min(left, len(batch["label"]))  # The last batch is filled up.
            left -= size
            progress.advance(size)
    by_kind = jax.device_get(evaluated)
    _check_finite(by_kind["center"], names or [f"network {n + 1}" for n in range(len(predictors))])
    return {kind: _join(rows, count) for kind, rows in by_kind.items()}


def _score_rows(
    keep_probabilities: bool,
    by_view: Mapping[int, list[jax.Array]],
    probabilities: jax.Array,
    labels: jax.Array,
    mask: jax.Array,
) -> dict[str, jax.Array]:
    """Return what is kept of a batch: arrays with its rows, by name."""
    # Of each network, in all views: bool [B, networks].
    finite = [
        jnp.stack([jnp.isfinite(rows).all(axis=1) for rows in networks], axis=1)
        for networks in by_view.values()
    ]
    examples = per_example_metrics(probabilities, labels)
    examples["predicted"] = jnp.argmax(probabilities, axis=1)
    if keep_probabilities:
        examples["probabilities"] = probabilities
    return examples | {"finite": jnp.all(jnp.stack(finite), axis=0), "mask": mask}


def _check_finite(batches: Sequence[dict[str, np.ndarray]], names: Sequence[str]) -> None:
    """Raise NotFiniteError, naming the networks, if one predicts a number that is not finite."""
    finite = np.concatenate([batch["finite"][batch["mask"]] for batch in batches])
    found = [
        f"{name} predicts numbers that are not finite for {broken:,} of {len(finite):,} images"
        for name, broken in zip(names, np.sum(~finite, axis=0), strict=True)
        if broken
    ]
    if found:
        raise NotFiniteError("; ".join(found))


def _join(batches: Sequence[dict[str, np.ndarray]], count: int) -> SplitPredictions:
    """Join the batches of a split, without the rows that the mask excludes."""
    parts = [
        batch.pop("probabilities")[batch["mask"]] for batch in batches if "probabilities" in batch
    ]

    def join(name: str) -> np.ndarray:
        return np.concatenate([batch[name][batch["mask"]] for batch in batches])

    return SplitPredictions(
        scores=summarize(batches, count),
        labels=join("label"),
        predicted=join("predicted").astype(np.int32),
        probabilities=np.concatenate(parts) if parts else None,
    )
