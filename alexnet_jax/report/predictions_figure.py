"""Figure 4 of the paper: predictions of images, and the training images nearest to them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from alexnet_jax.prediction.figure import draw_classes
from alexnet_jax.report.matplotlib_style import Drawing, figure_style

_SHOWN = 5


def draw_predictions(
    images: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str], labels: Sequence[int]
) -> Drawing:
    """Draw images, uint8 [N, s, s, 3], with their five most probable classes as bars.

    `probabilities` are float32 [N, classes]. The right class has its own color.
    """
    titles, shown = [class_names[label] for label in labels], min(_SHOWN, len(class_names))
    best = np.argsort(-probabilities, axis=1, stable=True)[:, :shown]
    classes = [[(i, row[i]) for i in of] for row, of in zip(probabilities, best, strict=True)]
    with figure_style():
        figure = draw_classes(images, titles, classes, class_names, labels)
    return Drawing(figure, f"{len(images)} images with their {shown} most probable classes.")


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
