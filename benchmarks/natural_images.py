"""JPEGs for measuring with: 500x375 noise with the spectrum of photographs, about 110 KB each."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = 10
# Amplitude falls with frequency as in photographs (about 1/f), a little faster: that makes files
# of ImageNet's size at this quality.
_EXPONENT, _QUALITY = 1.22, 92
# Brightness varies most, the two color axes less.
_COLORS = np.array([[0.6, 0.6, 0.6], [0.3, 0.0, -0.3], [0.1, -0.2, 0.1]])


def natural_jpeg(number: int) -> bytes:
    """Return image `number`; every fourth stands upright."""
    height, width = (500, 375) if number % 4 == 0 else (375, 500)
    noise = np.random.default_rng(number).standard_normal((3, height, width))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    frequency[0, 0] = 1
    planes = np.fft.irfft2(np.fft.rfft2(noise) / frequency**_EXPONENT, s=(height, width))
    pixels = np.einsum("chw,cd->hwd", planes, _COLORS)
    pixels = 120 + 60 * (pixels - pixels.mean()) / pixels.std()
    data = io.BytesIO()
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    image.save(data, "JPEG", quality=_QUALITY, subsampling="4:2:0")
    return data.getvalue()


def write_images(folder: Path, count: int) -> None:
    """Write `count` images as folder/class_N/NUMBER.jpg."""
    for number in range(count):
        path = folder / f"class_{number % CLASSES}" / f"{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(natural_jpeg(number))
