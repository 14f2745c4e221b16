"""Figure 4 of the paper: predictions of images, and the training images nearest to them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alexnet_jax.monitoring.pictures import clip
from alexnet_jax.report.matplotlib_style import INK, Drawing, figure_style

_SHOWN = 5
_RIGHT, _WRONG = "#D55E00", "#56B4E9"
_ACROSS = 4
_MOST_LETTERS = 24


def draw_predictions(
    images: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    labels: Sequence[int],
) -> Drawing:
    """Draw images with their five most probable classes as bars, the right one in its own color.

    Args:
        images: uint8 [N, s, s, 3].
        probabilities: float32 [N, classes].
        class_names: Names of the classes, by label.
        labels: Labels of the images.
    """
    across = min(_ACROSS, len(images))
    down = -(-len(images) // across)
    shown = min(_SHOWN, len(class_names))
    with figure_style():
        figure = Figure(figsize=(1.9 * across, 3.1 * down), layout="constrained")
        grid = figure.add_gridspec(2 * down, across, height_ratios=[1.6, 1] * down)
        rows = zip(images, probabilities, labels, strict=True)
        for number, (image, row, label) in enumerate(rows):
            line, column = divmod(number, across)
            top = figure.add_subplot(grid[2 * line, column])
            top.imshow(image)
            top.set_axis_off()
            top.set_title(clip(class_names[label], _MOST_LETTERS), fontsize=8, parse_math=False)
            best = np.argsort(-row, kind="stable")[:shown]
            bars = figure.add_subplot(grid[2 * line + 1, column])
            _draw_bars(bars, row, best, class_names, label)
    return Drawing(figure, f"{len(images)} images with their {shown} most probable classes.")


def _draw_bars(
    axes: Axes, row: np.ndarray, best: np.ndarray, class_names: Sequence[str], label: int
) -> None:
    places = np.arange(len(best))[::-1]
    colors = [_RIGHT if chosen == label else _WRONG for chosen in best]
    axes.barh(places, row[best], color=colors, height=0.85)
    axes.set_xlim(0, 1)
    axes.set_axis_off()
    for place, chosen in zip(places, best, strict=True):
        name = clip(class_names[chosen], _MOST_LETTERS)
        axes.text(0.02, place, name, va="center", fontsize=7, color=INK, parse_math=False)


def draw_neighbors(queries: np.ndarray, nearest: np.ndarray) -> Drawing:
    """Draw query images, [N, s, s, 3], each before its nearest ones, [N, K, s, s, 3]."""
    count, others = nearest.shape[:2]
    with figure_style():
        figure = Figure(figsize=(1.0 * (others + 1.3), 1.0 * count), layout="constrained")
        ratios = [1, 0.3] + [1] * others
        grid = figure.add_gridspec(count, others + 2, width_ratios=ratios)
        for line in range(count):
            for column, image in [(0, queries[line]), *enumerate(nearest[line], start=2)]:
                axes = figure.add_subplot(grid[line, column])
                axes.imshow(image)
                axes.set_axis_off()
    text = f"{count} images, each followed by the {others} training images nearest to it."
    return Drawing(figure, text)
