"""Images as data URIs, so that a page needs no other file."""

import base64

import numpy as np
from PIL import Image

from alexnet_jax.data.decoding.images import encode_image
from alexnet_jax.monitoring.pictures import arrange


def photo_uri(image: np.ndarray, side: int | None = None, quality: int = 80) -> str:
    """Return an image, uint8 [H, W, 3], as a JPEG of at most `side` pixels."""
    picture = Image.fromarray(image)
    if side is not None and max(picture.size) > side:
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _uri("jpeg", encode_image(picture, "jpeg", quality=quality, optimize=True))


def pixels_uri(image: np.ndarray) -> str:
    """Return an image, uint8 [H, W, 3], as a PNG, every pixel as it is."""
    return _uri("png", encode_image(Image.fromarray(image), "png", optimize=True))


def sheet_uri(tiles: np.ndarray, columns: int) -> str:
    """Return small images, uint8 [N, h, w, 3], side by side as one JPEG."""
    return photo_uri(arrange(tiles, columns), quality=75)


def heat_uri(image: np.ndarray, heat: np.ndarray, side: int | None = None) -> str:
    """Return an image under a map of heat, float [H, W] from 0 to 1: cold parts are darkened."""
    light = (0.15 + 0.85 * np.clip(heat, 0, 1) ** 0.6)[..., None]
    gray = image.mean(axis=-1, keepdims=True)
    glow = np.array([255.0, 170.0, 60.0]) * np.clip(heat, 0, 1)[..., None] ** 1.5
    mixed = np.clip(0.6 * gray * light + 0.75 * glow, 0, 255)
    return photo_uri(mixed.astype(np.uint8), side)


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
