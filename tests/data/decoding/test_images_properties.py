import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from alexnet_jax.data.decoding.images import read_image

MODES = {"RGB": (3,), "L": (), "RGBA": (4,), "LA": (2,)}


def reference(image, size):
    """Cut the center square and scale it with Pillow's triangle filter."""
    side = min(image.size)
    left, top = ((length - side) / 2 for length in image.size)
    box = (left, top, left + side, top + side)
    return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR, box))


@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(1, 48),
    st.sampled_from(sorted(MODES)),
    st.integers(0, 2**32 - 1),
)
def test_any_image_becomes_a_square_of_pillows_pixels(width, height, size, mode, seed):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, *MODES[mode]), np.uint8)
    image = Image.fromarray(noise)
    assert image.mode == mode
    data = io.BytesIO()
    image.save(data, "PNG")
    pixels = read_image(data.getvalue(), size)
    assert (pixels.shape, pixels.dtype) == ((size, size, 3), np.uint8)
    # Which is scaled first, columns or rows, moves a rounding by one.
    difference = pixels.astype(int) - reference(image, size)
    assert np.abs(difference).max() <= 1
