"""Decoding image files to squares of 8-bit RGB pixels."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image

from alexnet_jax.data.decoding.reused_memory import thread_array
from alexnet_jax.system.untrusted_file import read_regular

IMAGE_SIZE = 256  # Side of the squares that the 2012 network was trained from: paper §2.
# Recorded in every pixel store. If the pixels change, change this, so that old stores are refused.
RESIZE_METHOD = "shorter side by an antialiasing triangle filter, centre cut out"
# Decoded in this process and in bounded memory. Some of Pillow's other readers start programs:
# Ghostscript runs EPS files.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MAX_MEGAPIXELS = 64  # The default; decoding an image of this size takes less than 1 GB.
_COUNTED_AS = {"AVIF": 1.5, "WEBP": 1.5}  # Their decoders hold more copies of the pixels.
_JPEG_MAGIC = b"\xff\xd8"
_PIXELS_AT_ONCE = 1 << 20  # Converted together from Pillow's image, so that copies are small.


def read_image(
    data: bytes,
    size: int = IMAGE_SIZE,
    out: np.ndarray | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> np.ndarray:
    """Decode an image file and scale it as paper §2 does: shorter side to `size`, center crop.

    Grayscale, palette, CMYK, 16-bit and alpha images all become 8-bit RGB. EXIF rotation is
    ignored, as in 2012. Scaling uses an antialiasing triangle filter.

    Returns `out`, C-contiguous, such as a row of a batch, or a new array: RGB, uint8
    [size, size, 3].

    Raises:
        ValueError: the bytes are none of `FORMATS`, or the image is truncated or, by its header,
            above `max_megapixels`. No other exception is raised for any bytes.
    """
    pixels = _decode_plain_jpeg(data, max_megapixels)
    if pixels is None:
        pixels = _decode_with_pillow(data, max_megapixels)
    if pixels.shape[:2] != (size, size):
        # Imported here because Numba takes 0.6 s to import, and images of the right size need none.
        from alexnet_jax.data.decoding.resize import scale_center

        # Only the center square is computed: a 20,000x20 panorama costs no more than 20x20.
        pixels = scale_center(pixels, size)
    if out is None:
        out = np.empty((size, size, 3), np.uint8)
    for channel in range(3):  # NumPy copies three channels at once ten times slower.
        out[..., channel] = pixels[..., channel]
    return out


def read_image_file(path: Path, max_megapixels: float = MAX_MEGAPIXELS) -> bytes:
    """Return the bytes of an image file.

    Raises:
        ValueError: it cannot be opened, is no regular file, or is larger than raw pixels would be.
    """
    try:
        return read_regular(path, int(max_megapixels * 4_000_000))
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error


def _decode_plain_jpeg(data: bytes, max_megapixels: float) -> np.ndarray | None:
    """Decode a common JPEG with libjpeg: Pillow's pixels in less than half of the time.

    Returns:
        uint8 [H, W, 4], RGB and an unused byte, overwritten by the same thread's next call; None
        for anything odd, damaged or too large, which is left to Pillow.
    """
    if data[:2] != _JPEG_MAGIC:
        return None
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        if colorspace not in ("YCbCr", "Gray") or height * width > max_megapixels * 1e6:
            return None
        pixels = thread_array("pixels", (height, width, 4), np.uint8)
        return simplejpeg.decode_jpeg(data, colorspace="RGBX", buffer=pixels)
    except ValueError:
        return None


def _decode_with_pillow(data: bytes, max_megapixels: float) -> np.ndarray:
    """Decode any of `FORMATS` to uint8 [H, W, 4], RGB and an unused byte."""
    image = open_image(data, max_megapixels)
    width, height = image.size
    with _decoder_errors():
        pixels = np.empty((height, width, 4), np.uint8)
        rows = max(1, _PIXELS_AT_ONCE // width)
        for top in range(0, height, rows):
            bottom = min(top + rows, height)
            part = image if rows >= height else image.crop((0, top, width, bottom))
            _convert(part, pixels[top:bottom])
    return pixels


def encode_image(image: Image.Image, format: str, **options: object) -> bytes:
    """Return the file of an image in one of Pillow's formats; `options` are the format's."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def open_image(data: bytes, max_megapixels: float = MAX_MEGAPIXELS) -> Image.Image:
    """Decode an image file with Pillow; ValueError as in `read_image`."""
    if not data:
        raise ValueError("the file is empty")
    with _decoder_errors():
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)  # Reads the header.
    width, height = image.size
    largest = max_megapixels / _COUNTED_AS.get(image.format or "", 1)
    if width * height > largest * 1e6:
        raise ValueError(
            f"{width:,}x{height:,} pixels are more than {largest:.3g} megapixels, the limit for "
            f"{image.format}; make it smaller or raise max_megapixels"
        )
    with _decoder_errors():
        image.load()
    return image


def _convert(image: Image.Image, out: np.ndarray) -> None:
    """Fill `out`, uint8 [H, W, 4], with the image as 8-bit RGB and an unused byte."""
    if image.mode.startswith("I;16"):
        out[..., :3] = (np.asarray(image) >> 8)[..., None]
    elif image.mode in ("I", "F"):
        # Pillow would clip at 255; 32-bit modes have the 16-bit scale of PNG and TIFF.
        values = np.clip(np.asarray(image, np.float64) / 257, 0, 255)
        out[..., :3] = np.nan_to_num(values)[..., None]
    else:
        if "transparency" in image.info:
            image = image.convert("RGBA")  # A transparent palette cannot be converted directly.
        if image.mode != "RGB":
            image = image.convert("RGB")
        out[:] = np.asarray(image.convert("RGBX"))


@contextmanager
def _decoder_errors() -> Iterator[None]:
    """Turn any exception of a decoder into a ValueError of one line."""
    try:
        yield
    except Exception as error:  # RuntimeError, struct.error, zlib.error, KeyError, ...
        # Pillow names the BytesIO object in some messages; the caller names the file.
        reason = str(error).split("<_io")[0].split(", could be")[0].strip(" '")
        raise ValueError(f"not a readable image: {reason or type(error).__name__}") from error
