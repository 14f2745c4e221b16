"""Scoring networks on a split: one pass over the images gives every kind of view's numbers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.evaluation.metrics import (
    all_finite,
    per_example_metrics,
    refuse_not_finite,
    summarize,
)
from alexnet_jax.evaluation.views import CENTER, VIEWS, cut_view
from alexnet_jax.models import AlexNet
from alexnet_jax.parallel.mesh import replicated, split_over_data
from alexnet_jax.parallel.partitioned_ops import partition_ops
from alexnet_jax.parallel.runtime import wait_on_cpus

# (images uint8 [B, S, S, 3], number of the view) -> probabilities float32 [B, classes]
Predictor = Callable[[jax.Array, int], jax.Array]


def make_view_predictor(
    model: AlexNet, preprocessing: Preprocessing, crop_size: int, mesh: Mesh
) -> Callable[[Any, jax.Array, int], jax.Array]:
    """Compile (variables, images, number of the view) -> probabilities [B, classes].

    Args:
        model: the network.
        preprocessing: of every view.
        crop_size: side of the views.
        mesh: the devices; the batch is split over them, the parameters lie as they come.
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
    """Average the probabilities of several networks and, for ten crops, of the views.

    Returns:
        {"center": [B, classes]}, and "ten_crop" beside it if `views` is "ten_crop".
    """
    return _average(_predict_views(predictors, images, views), views)


def _predict_views(
    predictors: Sequence[Predictor], images: jax.Array, views: str
) -> dict[int, list[jax.Array]]:
    """Return, by view, the probabilities of each network, [B, classes]."""
    return {
        view: [wait_on_cpus(predict(images, view)) for predict in predictors]
        for view in VIEWS[views]
    }


def _average(probabilities: Mapping[int, list[jax.Array]], views: str) -> dict[str, jax.Array]:
    by_view = {view: _mean(of_networks) for view, of_networks in probabilities.items()}
    averages = {"center": by_view[CENTER]}
    if views == "ten_crop":
        averages["ten_crop"] = _mean(list(by_view.values()))
    return averages


def score(
    predictors: Sequence[Predictor],
    batches: Iterable[Mapping[str, jax.Array]],
    count: int,
    views: str,
    mesh: Mesh,
    names: Sequence[str] = (),
) -> dict[str, dict[str, float | int]]:
    """Test networks, their probabilities averaged, on every example of a split.

    Args:
        predictors: one a network.
        batches: of `EvaluationBatches`, on the devices.
        count: number of examples in the split.
        views: "center" or "ten_crop"; ten crops give the centre's numbers too.
        mesh: the devices.
        names: one a network, for messages; none: they are numbered.

    Returns:
        By kind of view: loss, top1_error, top5_error (fractions), count.

    Raises:
        NotFiniteError: a network predicts a number that is not finite.
    """
    # In a cluster whole on every device: each process adds up all examples, to the same numbers.
    # Not alone: several CPU devices of one process must not run ahead with collectives.
    everywhere = replicated(mesh) if jax.process_count() > 1 else None
    judge_rows = jax.jit(_example_metrics, out_shardings=everywhere)
    finite_rows = jax.jit(_finite_rows, out_shardings=everywhere)
    judged: dict[str, list[dict[str, jax.Array]]] = {}
    checked: list[dict[str, jax.Array]] = []
    for batch in batches:
        by_view = _predict_views(predictors, batch["image"], views)
        checked.append(finite_rows(by_view, batch["mask"]))
        for kind, probabilities in _average(by_view, views).items():
            judged.setdefault(kind, []).append(
                judge_rows(probabilities, batch["label"], batch["mask"])
            )
        # Let the host run one batch ahead of the devices, not the whole split.
        jax.block_until_ready(judged["center"][-2:-1])
    names = names or [f"network {number}" for number in range(1, len(predictors) + 1)]
    refuse_not_finite(jax.device_get(checked), names)
    return {kind: summarize(jax.device_get(parts), count) for kind, parts in judged.items()}


def _example_metrics(
    probabilities: jax.Array, labels: jax.Array, mask: jax.Array
) -> dict[str, jax.Array]:
    return per_example_metrics(probabilities, labels) | {"mask": mask}


def _finite_rows(by_view: Mapping[int, list[jax.Array]], mask: jax.Array) -> dict[str, jax.Array]:
    """Return finite: bool [B, networks], whether all views of an image are; and the mask."""
    views = [jnp.stack([all_finite(row) for row in rows], axis=1) for rows in by_view.values()]
    return {"finite": jnp.all(jnp.stack(views), axis=0), "mask": mask}


def _mean(probabilities: Sequence[jax.Array]) -> jax.Array:
    total = probabilities[0]
    for other in probabilities[1:]:
        total = total + other
    return total / len(probabilities)
