"""Everything of a report that needs the network and its data."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jax.sharding import Mesh

from alexnet_jax.data.imagenet_names import english_name
from alexnet_jax.monitoring.layer_table import describe_layers
from alexnet_jax.report import charts
from alexnet_jax.report.architecture_figure import draw_architecture
from alexnet_jax.report.by_class import errors_by_class
from alexnet_jax.report.embedding import heat_uri, photo_uri
from alexnet_jax.report.kernels_figure import draw_kernels
from alexnet_jax.report.layer_pages import LayerPage, make_layer_pages
from alexnet_jax.report.matplotlib_style import Drawing
from alexnet_jax.report.mistakes import (
    Change,
    Confusion,
    confused_pairs,
    from_center_to_ten,
    nearest_images,
    worst_images,
)
from alexnet_jax.report.predictions_figure import draw_neighbors, draw_predictions
from alexnet_jax.report.saliency import SaliencyMapper
from alexnet_jax.report.sample import Sample, draw_sample
from alexnet_jax.runs.run import open_split
from alexnet_jax.runs.trained import TrainedNetwork

_PREDICTED, _WORST, _CHANGED, _QUERIES, _NEAREST = 8, 8, 6, 5, 6
_PHOTO = 144  # Side of a photograph on the page, in pixels.


@dataclass(frozen=True)
class Answer:
    """An image and the classes that the network finds most probable."""

    photo: str  # Data URI.
    saliency: str  # Data URI.
    label: str
    classes: list[tuple[str, float, bool]]  # Name, probability, whether it is the label.


@dataclass(frozen=True)
class Mistakes:
    """What a network gets wrong on a sample of the validation split."""

    images: int  # Of the sample.
    of: int  # Images of the split.
    error: float  # Top-1, centre crop.
    worst: list[Answer]
    confused: list[tuple[str, str, Confusion]]  # The label's name, the answer's name.
    change: Change
    changed: list[tuple[Answer, Answer]]  # By the centre crop, by ten crops.


@dataclass(frozen=True)
class Pictures:
    """The parts of a report that show the network at work."""

    step: int  # Of the checkpoint that was used.
    answers: list[Answer]
    neighbors: list[tuple[str, list[str]]]  # Data URIs of a query and of its nearest images.
    neighbor_pool: int  # Training images among which the nearest were sought.
    mistakes: Mistakes
    class_chart: charts.Chart
    calibration_chart: charts.Chart
    layers: list[LayerPage]
    drawings: dict[str, Drawing]  # For papers, by the name of their files.


def draw_network(trained: TrainedNetwork) -> dict[str, Drawing]:
    """Draw what needs no data: the architecture, and the kernels of the first convolution."""
    model = trained.network.model
    rows = describe_layers(model, trained.config.data.crop_size)
    drawings = {"network": draw_architecture(trained.config.model.name, model.spec, rows)}
    kernel = trained.state.variables["params"].get("conv1", {}).get("kernel")
    if kernel is not None and kernel.shape[2] == 3:
        drawings["kernels"] = draw_kernels(np.asarray(kernel), model.spec.columns)
    return drawings


def take_pictures(
    trained: TrainedNetwork, mesh: Mesh, images: int, training_images: int
) -> Pictures:
    """Classify samples of both splits and make the pictures.

    Args:
        trained: the network; its config says where the data are.
        mesh: the devices.
        images: to take from the validation split.
        training_images: among which the nearest ones are sought.

    Raises:
        UserError: the data are missing or damaged.
    """
    validation, training = (
        open_split(trained.config, "validation"),
        open_split(trained.config, "train"),
    )
    sample = draw_sample(
        validation, images, trained, mesh, "ten_crop", "classifying validation images"
    )
    pool = draw_sample(training, training_images, trained, mesh, None, "looking at training images")
    names = [english_name(name) for name in trained.class_names]
    saliency = SaliencyMapper(trained.network, trained.state.variables)
    center, answered = sample.probabilities["center"], sample.ranking("center")[:, 0]
    shown = _one_of_each_class(sample, _PREDICTED)
    queries = shown[:_QUERIES]
    nearest = nearest_images(sample.features[queries], pool.features, _NEAREST)
    return Pictures(
        step=int(trained.state.step),
        answers=_answers(names, saliency, sample, shown, "center"),
        neighbors=[
            (photo_uri(sample.crops[query], 96), [photo_uri(pool.crops[near], 96) for near in row])
            for query, row in zip(queries, nearest, strict=True)
        ],
        neighbor_pool=len(pool),
        mistakes=_mistakes(names, saliency, sample, len(validation)),
        class_chart=charts.class_errors(names, errors_by_class(sample.labels, answered)),
        calibration_chart=charts.calibration(center.max(axis=1), answered == sample.labels),
        layers=make_layer_pages(trained, sample),
        drawings={
            "predictions": draw_predictions(
                sample.crops[shown], center[shown], names, sample.labels[shown].tolist()
            ),
            "neighbors": draw_neighbors(sample.crops[queries], pool.crops[nearest]),
        },
    )


def _mistakes(names: Sequence[str], saliency: SaliencyMapper, sample: Sample, of: int) -> Mistakes:
    change = from_center_to_ten(sample, _CHANGED)
    before, after = (
        _answers(names, saliency, sample, change.examples, views)
        for views in ("center", "ten_crop")
    )
    worst = worst_images(sample, "center", _WORST)
    return Mistakes(
        images=len(sample),
        of=of,
        error=float(np.mean(sample.ranking("center")[:, 0] != sample.labels)),
        worst=_answers(names, saliency, sample, worst, "center"),
        confused=[
            (names[pair.label], names[pair.answer], pair)
            for pair in confused_pairs(sample, "center", 10)
        ],
        change=change,
        changed=list(zip(before, after, strict=True)),
    )


def _answers(
    names: Sequence[str],
    saliency: SaliencyMapper,
    sample: Sample,
    chosen: Sequence[int] | np.ndarray,
    views: str,
) -> list[Answer]:
    """Return what the network says of some images, with maps of what its first answer rests on."""
    if not len(chosen):
        return []
    ranking = sample.ranking(views)
    crops = sample.crops[chosen]
    heats = saliency(crops, ranking[chosen, 0])
    return [
        Answer(
            photo=photo_uri(sample.crops[image], _PHOTO),
            saliency=heat_uri(sample.crops[image], heat, _PHOTO),
            label=names[sample.labels[image]],
            classes=[
                (
                    names[label],
                    float(sample.probabilities[views][image, label]),
                    bool(label == sample.labels[image]),
                )
                for label in ranking[image, :5]
            ],
        )
        for image, heat in zip(chosen, heats, strict=True)
    ]


def _one_of_each_class(sample: Sample, count: int) -> np.ndarray:
    """Return images of as many classes as there are, evenly spaced over the sample."""
    _, first = np.unique(sample.labels, return_index=True)
    first = np.sort(first)
    places = np.linspace(0, len(first) - 1, min(count, len(first))).round().astype(int)
    return first[places]


def write_drawings(drawings: dict[str, Drawing], folder: Path) -> None:
    """Write each drawing as SVG and PNG."""
    for name, drawing in drawings.items():
        drawing.write(folder, name)
