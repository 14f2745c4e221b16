import io
import subprocess
import sys

import numpy as np
import pytest
from made_files import jpeg
from PIL import Image

from alexnet_jax.data.decoding.images import read_image


def encode(image, kind="PNG", **options):
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def noise(height, width, channels=3, seed=0, dtype=np.uint8):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape, dtype)


def resize_axis(pixels, side, size):
    """Scale the middle `side` of the first axis to `size`, with an antialiasing triangle.

    The triangle reaches over the square's edge into the image, as when the whole image is scaled
    and the center is cut out of it afterwards.
    """
    scale = side / size
    centers = (len(pixels) - side) / 2 + (np.arange(size) + 0.5) * scale
    distances = np.abs(np.arange(len(pixels)) + 0.5 - centers[:, None])
    weights = np.maximum(1 - distances / max(scale, 1.0), 0)
    return np.tensordot(weights / weights.sum(axis=1, keepdims=True), pixels, axes=1)


def reference(pixels, size):
    side = min(pixels.shape[:2])
    rows = resize_axis(pixels.astype(np.float64), side, size)
    return resize_axis(rows.swapaxes(0, 1), side, size).swapaxes(0, 1)


@pytest.mark.parametrize(
    ("height", "width", "size"), [(90, 120, 30), (120, 90, 64), (37, 38, 50), (300, 501, 256)]
)
def test_scaling_is_an_antialiased_triangle_filter(height, width, size):
    pixels = noise(height, width)
    result = read_image(encode(Image.fromarray(pixels)), size)
    assert np.abs(result - reference(pixels, size)).max() <= 1


def test_an_image_of_the_right_size_keeps_its_pixels():
    pixels = noise(32, 32)
    np.testing.assert_array_equal(read_image(encode(Image.fromarray(pixels)), 32), pixels)


def test_an_image_of_the_right_size_needs_no_numba(tmp_path):
    """Which takes 0.6 s to import."""
    Image.fromarray(noise(32, 32)).save(tmp_path / "image.png")
    program = (
        "import sys; from pathlib import Path; "
        "from alexnet_jax.data.decoding.images import read_image; "
        "read_image(Path(sys.argv[1]).read_bytes(), 32); assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "image.png"], check=True)


def test_the_center_is_kept():
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 200
    np.testing.assert_array_equal(read_image(encode(Image.fromarray(pixels)), 10), 200)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_the_fast_decoder_gives_pillows_pixels(subsampling, progressive):
    image = Image.fromarray(noise(61, 61))
    data = encode(image, "JPEG", subsampling=subsampling, progressive=progressive)
    pillows = np.asarray(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(read_image(data, 61), pillows)


def test_exif_rotation_is_ignored():
    image, exif = Image.fromarray(noise(20, 30)), Image.Exif()
    exif[0x0112] = 6
    plain, rotated = encode(image, "JPEG"), encode(image, "JPEG", exif=exif)
    assert rotated != plain
    np.testing.assert_array_equal(read_image(rotated, 20), read_image(plain, 20))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_gray_gives_three_equal_channels(kind):
    data = encode(Image.fromarray(noise(12, 12, 1)), kind)
    expected = np.asarray(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(read_image(data, 12), np.repeat(expected[..., None], 3, axis=2))


def test_cmyk_becomes_the_colors_that_were_meant():
    red = encode(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100)
    assert np.abs(read_image(red, 8).astype(int) - [255, 0, 0]).max() <= 3


def test_sixteen_bits_keep_their_upper_eight():
    pixels = noise(9, 9, 1, dtype=np.uint16)
    expected = (pixels >> 8).astype(np.uint8)
    result = read_image(encode(Image.fromarray(pixels)), 9)
    np.testing.assert_array_equal(result, np.repeat(expected[..., None], 3, axis=2))


def test_a_palette_gives_its_colors():
    image = Image.fromarray(noise(16, 16)).quantize(8)
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(read_image(encode(image), 16), expected)


def test_alpha_is_dropped():
    pixels = noise(8, 8, 4)
    np.testing.assert_array_equal(read_image(encode(Image.fromarray(pixels)), 8), pixels[..., :3])


def test_black_and_white_is_full_range():
    image = Image.fromarray(noise(8, 8, 1)).convert("1")
    assert set(np.unique(read_image(encode(image), 8))) == {0, 255}


def test_one_pixel_fills_the_square():
    data = encode(Image.new("RGB", (1, 1), (10, 20, 30)))
    np.testing.assert_array_equal(read_image(data, 16), np.full((16, 16, 3), (10, 20, 30)))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("size", [(20_000, 20), (20, 20_000)])
def test_a_very_long_image_gives_its_middle(size, kind):
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    middle = np.s_[9_900:10_100]
    pixels[middle if size[1] > 20 else np.s_[:], middle if size[0] > 20 else np.s_[:]] = 120
    assert np.abs(read_image(encode(Image.fromarray(pixels), kind), 32).astype(int) - 120).max() < 3


def test_the_result_is_256_square_rgb():
    result = read_image(jpeg(0, 500, 375))
    assert (result.shape, result.dtype) == ((256, 256, 3), np.uint8)


def test_a_row_of_a_batch_is_filled_in_place():
    batch = np.zeros((3, 64, 64, 3), np.uint8)
    row = batch[1]
    assert read_image(jpeg(0, 100, 75), 64, out=row) is row
    np.testing.assert_array_equal(batch[1], read_image(jpeg(0, 100, 75), 64))
    assert not batch[[0, 2]].any()


@pytest.mark.parametrize(
    "data",
    [
        jpeg()[:-200],
        jpeg()[:50],
        encode(Image.fromarray(noise(30, 30)))[:-800],
        b"",
        b"\xff\xd8",
        b"<html>404</html>",
        bytes(1_000),
    ],
    ids=["cut JPEG", "JPEG header", "cut PNG", "nothing", "JPEG mark", "text", "zeros"],
)
def test_what_is_no_whole_image_is_a_value_error(data):
    with pytest.raises(ValueError, match=r"not a readable image|the file is empty"):
        read_image(data)
