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
    return _frame_each(np.moveaxis(large, -1, 0), round((1.5 * kernels.shape[-1]) ** 0.5))


def prediction_sheet(
    images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, names: Sequence[str]
) -> np.ndarray:
    """Return a picture of images, each with its class and the most probable ones, right or wrong.

    Images are uint8 [N, S, S, 3], labels int32 [N], probabilities float32 [N, classes], `names`
    those of the classes; the picture is uint8 [height, width, 3].
    """
    rows = zip(images, labels, probabilities, strict=True)
    return _frame_each(np.stack([_caption(*row, names) for row in rows]), _TILES_IN_ROW)


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
    return clip(printable(name), _LONGEST_NAME)


def _frame_each(tiles: np.ndarray, columns: int) -> np.ndarray:
    """Arrange pictures [N, H, W, 3] in rows, each with a white line around it."""
    inner = arrange(tiles, columns, gap=2)
    return np.pad(inner, ((1, 1), (1, 1), (0, 0)), constant_values=255)


def clip(text: str, length: int) -> str:
    """Cut a text to `length` letters; an ellipsis stands for what is cut off."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def arrange(tiles: np.ndarray, columns: int, gap: int = 1) -> np.ndarray:
    """Arrange pictures, uint8 [N, H, W, 3], in rows, `gap` white pixels between them."""
    count, height, width, _ = tiles.shape
    down = -(-count // columns)
    cells = np.full((down * columns, height + gap, width + gap, 3), 255, np.uint8)
    cells[:count, :height, :width] = tiles
    rows = cells.reshape(down, columns, height + gap, width + gap, 3)
    whole = rows.transpose(0, 2, 1, 3, 4).reshape(down * (height + gap), columns * (width + gap), 3)
    return whole[: -gap or None, : -gap or None]
