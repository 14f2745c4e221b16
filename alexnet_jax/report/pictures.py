"""Everything of a report that needs the network and its data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alexnet_jax.data.imagenet.names import english_name
from alexnet_jax.layer_table import describe_layers
from alexnet_jax.prediction.by_class import confused_pairs, errors_by_class
from alexnet_jax.report import charts
from alexnet_jax.report.architecture_figure import draw_architecture
from alexnet_jax.report.embedding import heat_uri, photo_uri
from alexnet_jax.report.kernels_figure import draw_kernels
from alexnet_jax.report.layer_pages import make_layer_pages
from alexnet_jax.report.matplotlib_style import Drawing
from alexnet_jax.report.mistakes import from_center_to_ten, nearest_images, worst_images
from alexnet_jax.report.predictions_figure import draw_neighbors, draw_predictions
from alexnet_jax.report.saliency import SaliencyMapper
from alexnet_jax.report.sample import Sample, draw_sample, spread_evenly
from alexnet_jax.runs.run import open_split
from alexnet_jax.runs.trained import TrainedNetwork

_PREDICTED, _WORST, _CHANGED, _CONFUSED, _QUERIES, _NEAREST = 8, 8, 6, 10, 5, 6
_PHOTO = 144  # Side of a photograph on the page, in pixels.


@dataclass(frozen=True)
class Pictures:
    """The parts of a report that show the network at work."""

    shown: dict[str, Any]  # What the template calls `pictures`; images are data URIs.
    charts: dict[str, charts.Chart]  # By the id of their place.
    drawings: dict[str, Drawing]  # For papers, by the name of their files.


def draw_network(trained: TrainedNetwork) -> dict[str, Drawing]:
    """Draw what needs no data: the architecture, and the kernels of the first convolution."""
    model = trained.network.model
    rows = describe_layers(model, trained.network.crop_size)
    drawings = {"network": draw_architecture(trained.config.model.name, model.spec, rows)}
    kernel = trained.state.variables["params"].get("conv1", {}).get("kernel")
    if kernel is not None and kernel.shape[2] == 3:
        drawings["kernels"] = draw_kernels(np.asarray(kernel), model.spec.columns)
    return drawings


def take_pictures(trained: TrainedNetwork, images: int, training_images: int) -> Pictures:
    """Classify samples of both splits and make the pictures; arguments as for `make_report`.

    Raises:
        UserError: the data are missing or damaged.
    """
    validation = open_split(trained.config, "validation")
    training = open_split(trained.config, "train")
    sample = draw_sample(validation, images, trained, "ten_crop", "classifying validation images")
    pool = draw_sample(training, training_images, trained, None, "looking at training images")
    names = [english_name(name) for name in trained.class_names]
    saliency = SaliencyMapper(trained.network, trained.state.variables)
    center, answered = sample.probabilities["center"], sample.ranking("center")[:, 0]
    shown = _one_of_each_class(sample, _PREDICTED)
    queries = shown[:_QUERIES]
    nearest = nearest_images(sample.features[queries], pool.features, _NEAREST)
    return Pictures(
        shown={
            "step": int(trained.state.step),  # Of the checkpoint.
            "answers": _answers(names, saliency, sample, shown, "center"),
            "neighbors": [
                [
                    (photo_uri(split.crops[image], 96), names[split.labels[image]])
                    for split, image in [(sample, query), *((pool, near) for near in row)]
                ]
                for query, row in zip(queries, nearest, strict=True)
            ],
            "neighbor_pool": len(pool),
            "mistakes": _mistakes(names, saliency, sample, len(validation)),
            "layers": make_layer_pages(trained, sample),
        },
        charts={
            "class-errors": charts.class_errors(names, errors_by_class(sample.labels, answered)),
            "calibration": charts.calibration(center.max(axis=1), answered == sample.labels),
        },
        drawings={
            "predictions": draw_predictions(
                sample.crops[shown], center[shown], names, sample.labels[shown].tolist()
            ),
            "neighbors": draw_neighbors(sample.crops[queries], pool.crops[nearest]),
        },
    )


def _mistakes(
    names: Sequence[str], saliency: SaliencyMapper, sample: Sample, of: int
) -> dict[str, Any]:
    """Return what the template shows of wrong answers, on a sample of a split of `of` images."""
    mended, broken, changed = from_center_to_ten(sample)
    before, after = (
        _answers(names, saliency, sample, changed[:_CHANGED], views)
        for views in ("center", "ten_crop")
    )
    answered = sample.ranking("center")[:, 0]
    counts = np.bincount(sample.labels)
    pairs = confused_pairs(sample.labels, answered)[:_CONFUSED]
    return {
        "images": len(sample),
        "of": of,
        "error": float(np.mean(answered != sample.labels)),
        "worst": _answers(names, saliency, sample, worst_images(sample, "center", _WORST)),
        "confused": [
            (names[label], names[answer], count, counts[label]) for (label, answer), count in pairs
        ],
        "mended": mended,
        "broken": broken,
        "changed": list(zip(before, after, strict=True)),
    }


def _answers(
    names: Sequence[str],
    saliency: SaliencyMapper,
    sample: Sample,
    chosen: np.ndarray,
    views: str = "center",
) -> list[dict[str, Any]]:
    """Return what the network says of some images, with maps of what its first answer rests on."""
    if not len(chosen):
        return []
    ranking, probabilities = sample.ranking(views), sample.probabilities[views]
    heats = saliency(sample.crops[chosen], ranking[chosen, 0])
    return [
        {
            "photo": photo_uri(sample.crops[image], _PHOTO),
            "saliency": heat_uri(sample.crops[image], heat, _PHOTO),
            "label": names[sample.labels[image]],
            "classes": [
                (names[label], probabilities[image, label], label == sample.labels[image])
                for label in ranking[image, :5]
            ],
        }
        for image, heat in zip(chosen, heats, strict=True)
    ]


def _one_of_each_class(sample: Sample, count: int) -> np.ndarray:
    """Return images of as many classes as there are, evenly spaced over the sample."""
    first = np.sort(np.unique(sample.labels, return_index=True)[1])
    return first[spread_evenly(count, len(first))]
