import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from alexnet_jax.data.decoding.resize import scale_center, windows

PROGRAM = """
import threading
import numpy as np
from alexnet_jax.data.decoding.resize import scale_center

pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 4)).astype(np.uint8)
results = np.zeros((8, 64, 64, 4), np.uint8)

def scale(row):
    row[:] = scale_center(pixels, 64)

threads = [threading.Thread(target=scale, args=(row,)) for row in results]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert results[0].any() and (results == results[0]).all()
"""


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 4)).astype(np.uint8)


def scaled(pixels, size):
    return scale_center(pixels, size)[..., :3].copy()


def pillows(pixels, size):
    """Pillow's pixels: the columns first, then the rows, whichever it would choose by itself."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    image = Image.fromarray(np.ascontiguousarray(pixels[..., :3]))
    bilinear = Image.Resampling.BILINEAR
    image = image.resize((size, height), bilinear, box=(left, 0, left + side, height))
    return np.asarray(image.resize((size, size), bilinear, box=(0, top, size, top + side)))


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [
        (375, 500, 256),
        (500, 375, 256),
        (500, 333, 256),
        (1200, 1600, 256),
        (256, 256, 256),
        (96, 96, 96),
        (40, 50, 256),
        (2, 3, 64),
        (1, 1, 5),
        (20, 5000, 32),
        (5000, 20, 32),
    ],
)
def test_the_pixels_are_pillows(height, width, size):
    pixels = noise(height, width)
    np.testing.assert_array_equal(scaled(pixels, size), pillows(pixels, size))


def test_the_pixels_are_pillows_at_any_size():
    rng = np.random.default_rng(1)
    for seed in range(150):
        height, width = np.exp(rng.uniform(0, 6.5, 2)).astype(int)
        size = int(rng.integers(1, 300))
        pixels = noise(height, width, seed)
        np.testing.assert_array_equal(
            scaled(pixels, size), pillows(pixels, size), f"{height}x{width} to {size}"
        )


def test_the_fourth_channel_is_ignored():
    pixels = noise(50, 60)
    expected = scaled(pixels, 32)
    pixels[..., 3] = 7
    np.testing.assert_array_equal(scaled(pixels, 32), expected)


def test_each_sums_weights_make_one():
    for length, side, size in [(500, 375, 256), (64, 64, 256), (4000, 3000, 256)]:
        sums = windows(length, side, size).weights.sum(axis=1)
        assert np.abs(sums - 2**22).max() <= windows(length, side, size).weights.shape[1] / 2


@pytest.mark.slow
@pytest.mark.parametrize("cache", ["empty", "nowhere to write"])
def test_many_threads_may_call_first(tmp_path, cache):
    folder = tmp_path / "cache"
    if cache == "nowhere to write":
        folder.touch()
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(folder),
        "NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator",
    }
    program = [sys.executable, "-W", "error", "-c", PROGRAM]
    processes = [subprocess.Popen(program, env=environment) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert folder.is_dir() == any(tmp_path.rglob("*.nbc")) == (cache == "empty")
