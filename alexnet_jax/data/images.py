"""From a file's bytes to the square of pixels that every later stage works on."""

import io

import numpy as np
import simplejpeg
from PIL import Image

from alexnet_jax.data.resize import scale_centre
from alexnet_jax.data.thread_memory import ThreadMemory

IMAGE_SIZE = 256  # Side of the squares that the 2012 network was trained from: paper §2.
# Named in every pixel store; another name for other pixels, so that old stores are refused.
RESIZE_METHOD = "shorter side by an antialiasing triangle filter, centre cut out"
_JPEG_MAGIC = b"\xff\xd8"
_memory = ThreadMemory()
# What Pillow's readers raise for files that are broken, or too large to be honest.
_PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    NotImplementedError,
    Image.DecompressionBombError,
)


def read_image(data: bytes, size: int = IMAGE_SIZE, out: np.ndarray | None = None) -> np.ndarray:
    """Decode an image file and scale it as paper §2 does: shorter side to `size`, centre crop.

    Greyscale, palette, CMYK, 16-bit and alpha images all become 8-bit RGB; an EXIF rotation
    is ignored, as it was in 2012. The scaling is a triangle filter as wide as the reduction
    asks for (antialiased).

    Args:
        data: the whole file, in any format that Pillow knows.
        size: side of the result in pixels.
        out: uint8 [size, size, 3], C-contiguous, to be filled: a row of a batch, say.

    Returns:
        uint8 [size, size, 3], RGB: `out`, or a new array.

    Raises:
        ValueError: the bytes are no image, or the image is cut short.
    """
    pixels = _decode(data)
    if out is None:
        out = np.empty((size, size, 3), np.uint8)
    # Only the centre square is ever computed: a 20,000x20 panorama costs no more than 20x20.
    scale_centre(pixels, out)
    return out


def _decode(data: bytes) -> np.ndarray:
    """Return the image's pixels, uint8 [H, W, 4]: RGB and a byte without meaning.

    The array may be overwritten by the same thread's next call.
    """
    if data[:2] == _JPEG_MAGIC:
        try:
            # The fast way, for the JPEGs that libjpeg turns into RGB by itself: the same pixels
            # as Pillow's in less than half of the time. Anything odd goes the sure way below.
            height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
            if colorspace in ("YCbCr", "Gray"):
                pixels = _memory.array("pixels", (height, width, 4), np.uint8)
                return simplejpeg.decode_jpeg(data, colorspace="RGBX", buffer=pixels)
        except ValueError:
            pass
    return np.array(_decode_with_pillow(data).convert("RGBX"))


def _decode_with_pillow(data: bytes) -> Image.Image:
    if not data:
        raise ValueError("the file is empty")
    try:
        image: Image.Image = Image.open(io.BytesIO(data))
        image.load()
    except _PILLOW_ERRORS as error:
        # Pillow names the BytesIO object in some messages; the caller names the file.
        reason = str(error).split("<_io")[0].strip(" '")
        raise ValueError(f"not a readable image: {reason}") from error
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        # Pillow would clip at 255; 32-bit modes carry the 16-bit scale of PNG and TIFF.
        pixels = np.clip(np.asarray(image, np.float64) / 257, 0, 255)
        return Image.fromarray(pixels.astype(np.uint8)).convert("RGB")
    if "transparency" in image.info:
        image = image.convert("RGBA")  # A palette's transparency has no direct way to RGB.
    return image.convert("RGB")
