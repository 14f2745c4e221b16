"""A figure of images with their most probable classes as bars, as figure 4 of the paper."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alexnet_jax.data.decoding.images import read_image, read_image_file
from alexnet_jax.data.imagenet.names import english_name
from alexnet_jax.errors import UserError, printable
from alexnet_jax.monitoring.pictures import clip
from alexnet_jax.prediction.classification import Prediction
from alexnet_jax.system.output_file import check_output, output_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_IMAGES = 24
_COLUMNS = 4
_INCHES = (2.6, 3.7)  # Width and height of an image with its bars.
_MOST_LETTERS = 26
_SIDE = 256  # Pixels of an image in the figure.
_BAR, _RIGHT, _WRONG = "#9ecae1", "#D55E00", "#56B4E9"


def check_figure(path: Path) -> None:
    """Raise UserError if `path` cannot be written, is no figure by its name, or without matplotlib.

    Call it before the work that the figure shows.
    """
    check_output(path, (".png", ".svg", ".pdf"))
    if importlib.util.find_spec("matplotlib") is None:
        raise UserError(
            'figures need matplotlib: pip install matplotlib, or the extra "alexnet-jax[report]"'
        )


def write_figure(
    predictions: Sequence[Prediction],
    class_names: Sequence[str],
    path: Path,
    max_megapixels: float,
) -> None:
    """Write a figure of up to `MOST_IMAGES` images as PNG, SVG or PDF, as the name of `path` says.

    UserError as for `check_figure`, and if an image cannot be read any more.
    """
    check_figure(path)
    images = []
    for image in (prediction.path for prediction in predictions):
        try:
            encoded = read_image_file(image, max_megapixels)
            images.append(read_image(encoded, _SIDE, max_megapixels=max_megapixels))
        except ValueError as error:
            raise UserError(f"{image} has changed: {error}") from error
    titles, classes = zip(*((each.path.name, each.classes) for each in predictions), strict=True)
    names = [english_name(name) for name in class_names]
    figure = draw_classes(images, titles, classes, names)
    with output_file(path) as unfinished:
        figure.savefig(unfinished, format=path.suffix[1:].lower(), dpi=150)


def draw_classes(
    images: Sequence[np.ndarray] | np.ndarray,
    titles: Sequence[str],
    classes: Sequence[Sequence[tuple[int, float]]],
    class_names: Sequence[str],
    labels: Sequence[int] | None = None,
) -> "Figure":
    """Draw images with a bar for each of their classes, given as (label, probability), best first.

    With the `labels` of the images, the color of a bar says whether its class is the right one.
    """
    # Imported here because it takes half a second, and pyplot is left out: it keeps figures.
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(images))
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(_INCHES[0] * columns, _INCHES[1] * rows), layout="constrained")
    grid = figure.subplots(
        2 * rows, columns, squeeze=False, gridspec_kw={"height_ratios": [2.4, 1] * rows}
    )
    for axes in grid.flat:
        axes.set_axis_off()
    for number, (image, title) in enumerate(zip(images, titles, strict=True)):
        row, column = divmod(number, columns)
        grid[2 * row, column].imshow(image)
        grid[2 * row, column].set_title(_shorten(title), fontsize=8, parse_math=False)
        colors = [
            _BAR if labels is None else _RIGHT if label == labels[number] else _WRONG
            for label, _ in classes[number]
        ]
        bars = [(_shorten(class_names[label]), value) for label, value in classes[number]]
        _draw_bars(grid[2 * row + 1, column], bars, colors)
    return figure


def _draw_bars(axes: "Axes", bars: Sequence[tuple[str, float]], colors: Sequence[str]) -> None:
    """Draw a bar for each class, the most probable one on top, with its name written over it."""
    axes.set_axis_on()
    axes.barh(range(len(bars)), [value for _, value in bars], color=colors, height=0.85)
    for place, (name, value) in enumerate(bars):
        axes.text(0.02, place, f"{value:.0%}  {name}", va="center", fontsize=8, parse_math=False)
    axes.set_xlim(0, 1)
    axes.invert_yaxis()
    axes.set(xticks=[], yticks=[])


def _shorten(text: str) -> str:
    return clip(printable(text), _MOST_LETTERS)
