"""Figure 3 of the paper: the kernels of the first convolution."""

import numpy as np
from matplotlib.figure import Figure

from alexnet_jax.monitoring.pictures import arrange
from alexnet_jax.report.matplotlib_style import Drawing, figure_style

_ACROSS = 16  # Kernels in a row.
_WIDTH = 6.4  # Inches.


def kernels_grid(kernels: np.ndarray, columns: int = 1) -> list[np.ndarray]:
    """Return the kernels of each column of the network as an image, uint8 [H, W, 3].

    Each kernel is scaled on its own, so that gray is zero and its largest weight black or white.

    Args:
        kernels: float32 [h, w, 3, features].
        columns: groups of features that the network keeps apart (2012: one per GPU).
    """
    largest = np.abs(kernels).max(axis=(0, 1, 2), keepdims=True)
    scaled = 0.5 + 0.5 * kernels / np.maximum(largest, np.finfo(np.float32).tiny)
    tiles = np.moveaxis((255 * scaled).round().astype(np.uint8), -1, 0)
    return [arrange(part, min(_ACROSS, len(part))) for part in np.split(tiles, columns)]


def draw_kernels(kernels: np.ndarray, columns: int = 1) -> Drawing:
    """Draw conv1's kernels in a grid, the network's columns apart; arguments as `kernels_grid`."""
    grids = kernels_grid(kernels, columns)
    across = grids[0].shape[1]
    inches = [_WIDTH * len(grid) / across + 0.25 for grid in grids]
    with figure_style():
        figure = Figure(figsize=(_WIDTH, sum(inches)), layout="constrained")
        parts = figure.add_gridspec(len(grids), 1, height_ratios=inches)
        for number, grid in enumerate(grids):
            axes = figure.add_subplot(parts[number])
            axes.imshow(grid, interpolation="nearest")
            axes.set_axis_off()
            if len(grids) > 1:
                axes.set_title(f"column {number + 1}", fontsize=9, loc="left")
    size, features = kernels.shape[0], kernels.shape[-1]
    apart = f", in {columns} columns" if columns > 1 else ""
    return Drawing(figure, f"The {features} kernels of conv1, {size} by {size} pixels{apart}.")
