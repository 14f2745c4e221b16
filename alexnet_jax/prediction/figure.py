"""A figure of images with their most probable classes as bars, as figure 4 of the paper."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet_jax.data.decoding.images import read_image, read_image_file
from alexnet_jax.data.imagenet_names import english_name
from alexnet_jax.errors import UserError, printable
from alexnet_jax.prediction.classification import Prediction
from alexnet_jax.system.output_file import check_output, output_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_IMAGES = 24
_COLUMNS = 4
_INCHES = (2.6, 3.7)  # Width and height of an image with its bars.
_MOST_LETTERS = 26
_SIDE = 256  # Pixels of an image in the figure.
_BAR_COLOR = "#9ecae1"


def check_figure(path: Path) -> None:
    """Raise UserError if `path` cannot be written, is no figure by its name, or without matplotlib.

    Call it before the work that the figure shows.
    """
    check_output(path, (".png", ".svg", ".pdf"))
    if importlib.util.find_spec("matplotlib") is None:
        raise UserError(
            'figures need matplotlib: pip install matplotlib, or the extra "alexnet-jax[report]"'
        )


def draw_predictions(
    predictions: Sequence[Prediction],
    class_names: Sequence[str],
    path: Path,
    max_megapixels: float,
) -> None:
    """Write a figure of up to `MOST_IMAGES` images as PNG, SVG or PDF, as the name of `path` says.

    UserError as for `check_figure`, and if an image cannot be read any more.
    """
    check_figure(path)
    # Imported here because it takes half a second, and pyplot is left out: it keeps figures.
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(predictions))
    rows = -(-len(predictions) // columns)
    figure = Figure(figsize=(_INCHES[0] * columns, _INCHES[1] * rows), layout="constrained")
    grid = figure.subplots(
        2 * rows, columns, squeeze=False, gridspec_kw={"height_ratios": [2.4, 1] * rows}
    )
    for axes in grid.flat:
        axes.set_axis_off()
    for number, prediction in enumerate(predictions):
        row, column = divmod(number, columns)
        _draw_image(grid[2 * row, column], prediction.path, max_megapixels)
        _draw_bars(grid[2 * row + 1, column], prediction, class_names)
    with output_file(path) as unfinished:
        figure.savefig(unfinished, format=path.suffix[1:].lower(), dpi=150)


def _draw_image(axes: "Axes", path: Path, max_megapixels: float) -> None:
    """Show the center square of the image, which is what the network sees."""
    try:
        pixels = read_image(read_image_file(path, max_megapixels), _SIDE, None, max_megapixels)
    except ValueError as error:
        raise UserError(f"{path} has changed: {error}") from error
    axes.imshow(pixels)
    axes.set_title(_shorten(printable(path.name)), fontsize=8, parse_math=False)


def _draw_bars(axes: "Axes", prediction: Prediction, class_names: Sequence[str]) -> None:
    """Draw a bar for each class, the most probable one on top, with its name written over it."""
    axes.set_axis_on()
    values = [value for _, value in prediction.classes]
    axes.barh(range(len(values)), values, color=_BAR_COLOR, height=0.85)
    for place, (label, value) in enumerate(prediction.classes):
        name = _shorten(printable(english_name(class_names[label])))
        axes.text(0.02, place, f"{value:.0%}  {name}", va="center", fontsize=8, parse_math=False)
    axes.set_xlim(0, 1)
    axes.invert_yaxis()
    axes.set(xticks=[], yticks=[])


def _shorten(text: str) -> str:
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…"
