"""Pictures of iterated function systems: a fractal in random colors before a cloudy background.

Everything but the fractal's shape is drawn independently of its category, so that color and
brightness tell nothing about it. Neither JAX nor TFDS is imported: a process that draws must start
quickly.
"""

import functools
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import numpy as np
from PIL import Image

from alexnet_jax.data.decoding.images import encode_image
from alexnet_jax.data.fractals.ifs import (
    System,
    count_points,
    draw_points,
    jitter_system,
    turn_points,
)
from alexnet_jax.errors import MachineError
from alexnet_jax.system.bounded_map import bounded_map

_IMAGES_PER_TASK = 16
_JITTER = 0.05
_MAX_TURN_DEGREES = 20.0
_SCALE = (0.75, 0.95)  # Half the fractal's side, in halves of the frame's shorter side.
_MAX_SHIFT = 0.08  # In halves of the shorter side.
_POINTS_PER_PIXEL = 2.5  # Of the square on the frame's shorter side.
_OPAQUE_POINTS = 6  # A pixel with this many hides the background.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_MIN_CONTRAST = 90.0  # In steps of luma, between the fractal and the mean of its background.
_TEXTURE_SIZE = 512
_TEXTURES = 8
_TEXTURE_STEPS = 32  # A texture's standard deviation is this many integer steps.


@dataclass(frozen=True)
class Picture:
    """Size and look of the images of a data set, whatever the fractal."""

    width: int
    height: int
    upright_fraction: float  # Share of the images whose width and height are swapped.
    texture: tuple[float, float]  # Range of the standard deviation of the background's luma.
    jpeg_quality: int  # Pillow's scale, 1 to 95.


@dataclass(frozen=True)
class Instance:
    """One image to draw: everything that its pixels depend on."""

    system: System  # Its category.
    picture: Picture
    seed: tuple[int, ...]  # Of this image alone.


def draw_in_order(instances: Iterator[Instance], workers: int) -> Iterator[bytes]:
    """Draw JPEG files in `workers` processes, a few tasks ahead of the reader, and keep the order.

    Raises:
        MachineError: a process was killed.
    """
    tasks = iter(lambda: list(itertools.islice(instances, _IMAGES_PER_TASK)), [])
    if workers < 2:
        yield from itertools.chain.from_iterable(map(draw_jpegs, tasks))
        return
    # Not "fork": this process may have threads, and a lock that one holds would stay locked.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin_worker)
    try:
        # A thread for each process hands it a task and waits for the images.
        drawn = bounded_map(lambda task: pool.submit(draw_jpegs, task).result(), tasks, workers)
        for images in drawn:
            yield from images
    except BrokenProcessPool as error:
        raise MachineError(
            "a process that draws images was killed, perhaps because memory ran out (dmesg); run "
            "the same command again"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def draw_jpegs(instances: list[Instance]) -> list[bytes]:
    """Draw images as JPEG files: the same bytes in every process."""
    images = ((Image.fromarray(draw_pixels(one)), one.picture.jpeg_quality) for one in instances)
    return [encode_image(image, "JPEG", quality=q, subsampling="4:2:0") for image, q in images]


def draw_pixels(instance: Instance) -> np.ndarray:
    """Draw an image: uint8 RGB [height, width, 3], or [width, height, 3] if it is upright."""
    picture = instance.picture
    rng = np.random.default_rng(instance.seed)
    height, width = picture.height, picture.width
    if rng.random() < picture.upright_fraction:
        height, width = width, height
    cover = _draw_cover(instance.system, height, width, rng)[..., None]  # [H, W, 1]
    ground, first, last = _draw_colors(rng)
    background = ground + _draw_texture(height, width, picture.texture, rng)
    blend = _draw_gradient(height, width, rng)[..., None]
    foreground = first + (last - first) * blend
    pixels = background + (foreground - background) * cover
    return np.clip(pixels + np.float32(0.5), 0, 255).astype(np.uint8)


def _begin_worker() -> None:
    """Let a worker end when the process that started it does, however that ends."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "only workers wait for the process that started them"

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this one.
    threading.Thread(target=end_with_parent, daemon=True).start()


def _draw_cover(system: System, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw how much of each pixel the fractal hides: float32 [height, width] in [0, 1]."""
    shorter = min(height, width)
    system = jitter_system(system, _JITTER, rng)
    points = draw_points(system, int(_POINTS_PER_PIXEL * shorter**2), rng)
    points = turn_points(points, rng.uniform(-_MAX_TURN_DEGREES, _MAX_TURN_DEGREES))
    half = shorter / 2
    scale = half * rng.uniform(*_SCALE)
    mirrored = scale if rng.random() < 0.5 else -scale
    shift_x, shift_y = half * rng.uniform(-_MAX_SHIFT, _MAX_SHIFT, 2)
    points[0] = points[0] * np.float32(mirrored) + np.float32(width / 2 + shift_x)
    points[1] = points[1] * np.float32(scale) + np.float32(height / 2 + shift_y)
    counts = count_points(points, height, width)
    # The root lifts the faint parts; it is exact on every machine, which a logarithm is not.
    shade = np.sqrt(np.arange(_OPAQUE_POINTS + 1, dtype=np.float32) / _OPAQUE_POINTS)
    return shade[np.minimum(counts, _OPAQUE_POINTS)]


def _draw_colors(rng: np.random.Generator) -> np.ndarray:
    """Draw the background's color and the two ends of the fractal's: float32 [3, 3].

    The fractal is brighter than its background throughout, or darker throughout.
    """
    while True:
        colors = rng.uniform(0, 255, (3, 3)).astype(np.float32)
        ground, first, last = (colors * _LUMA).sum(axis=1)
        if min(first, last) - ground > _MIN_CONTRAST or ground - max(first, last) > _MIN_CONTRAST:
            return colors


def _draw_gradient(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a ramp from corner to corner in a random direction: float32 [height, width]."""
    across, down = rng.uniform(-1, 1, 2)
    rows = down * np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    columns = across * np.linspace(-1, 1, width, dtype=np.float32)
    return (rows + columns) / np.float32(2 * (abs(across) + abs(down))) + np.float32(0.5)


def _draw_texture(
    height: int, width: int, strength: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """Draw clouds of mean 0, mostly gray with a cast of color: float32 [height, width, 3]."""
    luma, tint = _window(height, width, rng), _window(height, width, rng)
    level = rng.uniform(*strength)
    color = rng.uniform(-0.6, 0.6, 3)
    gray = np.float32(level / _TEXTURE_STEPS)
    cast = (level / _TEXTURE_STEPS * (color - color @ _LUMA)).astype(np.float32)
    return (gray * luma)[..., None] + tint[..., None] * cast


def _window(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Cut float32 [height, width] out of a random texture, at a random place and orientation."""
    texture = _texture(int(rng.integers(_TEXTURES)))
    top, left = rng.integers(_TEXTURE_SIZE, size=2)
    flip_rows, flip_columns = rng.choice((1, -1), 2)
    return texture[top : top + height, left : left + width][::flip_rows, ::flip_columns]


@functools.cache
def _texture(index: int) -> np.ndarray:
    """Make a periodic texture with the amplitude spectrum of natural images, 1 / frequency.

    Field, *Relations between the statistics of natural images and the response properties of
    cortical cells* (1987). It is float32 [1024, 1024], of mean 0 and standard deviation 32: four
    copies, so that a window needs no wrapping. The values are whole numbers, so that the last bits
    of a Fourier transform leave no trace.
    """
    noise = np.random.default_rng(index).standard_normal((_TEXTURE_SIZE, _TEXTURE_SIZE))
    frequency = np.fft.fftfreq(_TEXTURE_SIZE)
    radius = np.hypot(frequency[:, None], np.abs(frequency[: _TEXTURE_SIZE // 2 + 1]))
    radius[0, 0] = np.inf
    texture = np.fft.irfft2(np.fft.rfft2(noise) / radius)
    steps = np.round(texture * (_TEXTURE_STEPS / texture.std()))
    return np.tile(steps.astype(np.float32), (2, 2))
