"""Figure 2 of the paper: the network, drawn from its layers."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from alexnet_jax.layer_table import Row, count_parameters
from alexnet_jax.models.spec import Spec
from alexnet_jax.report.matplotlib_style import INK, Drawing, figure_style

_COLUMNS = ("#0072B2", "#D55E00")  # The two columns of 2012; one column is the first.
_GAP = 1.25  # From one layer to the next.


def draw_architecture(name: str, spec: Spec, rows: Sequence[Row]) -> Drawing:
    """Draw a network's layers with shapes, parameters and multiply-adds of each.

    `rows` are those of `describe_layers`.
    """
    layers = [row for row in rows if row.multiply_adds]  # Not the batch normalizations.
    with figure_style():
        figure = Figure(figsize=(1.1 * (len(layers) + 2), 3.3), layout="constrained")
        axes = figure.add_subplot()
        axes.set_axis_off()
        largest = layers[0].input[0]
        _draw_maps(axes, 0.0, layers[0].input, largest, 1)
        _label(axes, 0.0, ["input", _shape(layers[0].input)])
        for number, row in enumerate(layers, start=1):
            x = number * _GAP
            if len(row.output) == 3:
                _draw_maps(axes, x, row.output, largest, spec.columns)
            else:
                _draw_units(axes, x, row.output[-1], spec.columns, last=row is layers[-1])
            counts = [_short(row.parameters), _short(row.multiply_adds)]
            _label(axes, x, [row.name, _shape(row.output), *counts])
        for line, title in enumerate(["", "output", "parameters", "multiply-adds"]):
            axes.text(-1.6, _line(line), title, ha="left", va="top", fontsize=8)
        axes.set_xlim(-1.6, len(layers) * _GAP + 0.5)
        axes.set_ylim(_line(4), 1.05)
        parameters = count_parameters(list(rows)) / 1e6
        products = sum(row.multiply_adds for row in rows) / 1e6
        title = f"{name}: {parameters:,.2f} M parameters, {products:,.1f} M multiply-adds an image"
        axes.set_title(title, fontsize=10, loc="left", parse_math=False)
    chain = ", ".join(f"{row.name} {_shape(row.output)}" for row in layers)
    return Drawing(figure, f"The network {name}, layer by layer: {chain}.")


def _draw_maps(axes: Axes, x: float, shape: tuple[int, ...], largest: int, columns: int) -> None:
    """Draw the maps [H, W, C] as a box for each column, its side as the root of the map's."""
    side = 0.35 + 0.85 * (shape[0] / largest) ** 0.5
    depth = 0.12 + 0.03 * (shape[-1] / columns) ** 0.5
    heights = [0.0] if columns == 1 else [0.5, -0.5]
    side *= 1 if columns == 1 else 0.7
    for middle, color in zip(heights, _COLUMNS, strict=False):
        left, bottom = x - depth / 2, middle - side / 2
        lean = 0.32 * side
        front = [(0, 0), (depth, 0), (depth, side), (0, side)]
        top = [(0, side), (depth, side), (depth + lean, side + lean), (lean, side + lean)]
        right = [(depth, 0), (depth + lean, lean), (depth + lean, side + lean), (depth, side)]
        for points, opacity in ((front, 0.55), (top, 0.25), (right, 0.4)):
            placed = [(left + dx, bottom + dy) for dx, dy in points]
            axes.add_patch(Polygon(placed, facecolor=color, alpha=opacity, linewidth=0))
            axes.add_patch(Polygon(placed, fill=False, edgecolor=INK, linewidth=0.6))


def _draw_units(axes: Axes, x: float, units: int, columns: int, last: bool) -> None:
    """Draw a fully connected layer as a bar, its height as the root of its units."""
    height = 0.4 + 0.022 * units**0.5
    split = 1 if last or columns == 1 else 2
    for number in range(split):
        bottom = -height / 2 + number * height / split
        color = _COLUMNS[1 - number] if split == 2 else _COLUMNS[0]
        box = (x - 0.06, bottom), 0.12, height / split
        axes.add_patch(Rectangle(*box, facecolor=color, alpha=0.55, linewidth=0))
        axes.add_patch(Rectangle(*box, fill=False, edgecolor=INK, linewidth=0.6))


def _label(axes: Axes, x: float, lines: Sequence[str]) -> None:
    for number, text in enumerate(lines):
        weight = "normal" if number else "bold"
        axes.text(x, _line(number), text, ha="center", va="top", fontsize=8, weight=weight)


def _line(number: int) -> float:
    """Return the height of a line of text below the layers."""
    return -1.05 - 0.2 * number


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _short(number: int) -> str:
    """Return 34944 as "34.9 k"."""
    for size, suffix in ((1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:,.1f}{suffix}"
    return str(number)
