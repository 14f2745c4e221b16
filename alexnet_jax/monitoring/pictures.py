"""Pictures of a network while it trains: the first layer's kernels, and predictions."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from alexnet_jax.errors import printable

_KERNEL_PIXELS = 44  # About the side of a kernel in the grid.
_IMAGE_PIXELS, _LINE_PIXELS, _TILES_IN_ROW = 160, 20, 4
_CLASSES_SHOWN, _LONGEST_NAME = 3, 15
_BLACK, _GREEN, _RED = (0, 0, 0), (0, 110, 70), (175, 60, 0)


def kernel_grid(kernels: np.ndarray) -> np.ndarray:
    """Return a picture of the kernels of a layer that sees RGB, each scaled to its own range.

    Kernels are float32 [K, K, 3, N], the picture uint8 [height, width, 3].
    """
    low, high = kernels.min(axis=(0, 1, 2)), kernels.max(axis=(0, 1, 2))
    scaled = (255 * (kernels - low) / np.maximum(high - low, np.finfo(np.float32).tiny)).round()
    repeat = max(1, _KERNEL_PIXELS // len(kernels))
    large = scaled.astype(np.uint8).repeat(repeat, axis=0).repeat(repeat, axis=1)
    return _tile(list(np.moveaxis(large, -1, 0)), round((1.5 * kernels.shape[-1]) ** 0.5))


def prediction_sheet(
    images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, names: Sequence[str]
) -> np.ndarray:
    """Return a picture of images, each with its class and the most probable ones, right or wrong.

    Images are uint8 [N, S, S, 3], labels int32 [N], probabilities float32 [N, classes], `names`
    those of the classes; the picture is uint8 [height, width, 3].
    """
    rows = zip(images, labels, probabilities, strict=True)
    return _tile([_caption(*row, names) for row in rows], _TILES_IN_ROW)


def _caption(
    pixels: np.ndarray, label: int, probabilities: np.ndarray, names: Sequence[str]
) -> np.ndarray:
    height = _IMAGE_PIXELS + _LINE_PIXELS * (_CLASSES_SHOWN + 1)
    tile = Image.new("RGB", (_IMAGE_PIXELS, height), "white")
    tile.paste(Image.fromarray(pixels).resize((_IMAGE_PIXELS, _IMAGE_PIXELS)))
    lines = [(f"is {_short(names[label])}", _BLACK)]
    for guess in np.argsort(-probabilities)[:_CLASSES_SHOWN]:
        text = f"{probabilities[guess]:4.0%} {_short(names[guess])}"
        lines.append((text, _GREEN if guess == label else _RED))
    draw, font = ImageDraw.Draw(tile), ImageFont.load_default(15)
    for number, (text, color) in enumerate(lines):
        draw.text((2, _IMAGE_PIXELS + _LINE_PIXELS * number), text, color, font)
    return np.asarray(tile)


def _short(name: str) -> str:
    shown = printable(name)
    return shown if len(shown) <= _LONGEST_NAME else f"{shown[: _LONGEST_NAME - 1]}…"


def _tile(tiles: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Arrange pictures of one size, [H, W, 3], in rows, with a white line between them."""
    framed = [np.pad(tile, ((1, 1), (1, 1), (0, 0)), constant_values=255) for tile in tiles]
    blank = np.full_like(framed[0], 255)
    rows = [framed[start : start + columns] for start in range(0, len(framed), columns)]
    whole = [np.concatenate(row + [blank] * (columns - len(row)), axis=1) for row in rows]
    return np.concatenate(whole)
