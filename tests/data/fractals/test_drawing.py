import dataclasses
import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from alexnet_jax.data.fractals import drawing
from alexnet_jax.data.fractals.drawing import (
    Instance,
    Picture,
    draw_in_order,
    draw_jpegs,
    draw_pixels,
)
from alexnet_jax.data.fractals.ifs import find_systems

SMALL = Picture(width=64, height=48, upright_fraction=0.0, texture=(8.0, 24.0), jpeg_quality=90)


@pytest.fixture(scope="module")
def systems():
    return find_systems(seed=1, count=10, max_similarity=0.7)


def test_pixels_are_those_of_version_1(systems):
    pixels = draw_pixels(Instance(systems[0], SMALL, (7, 0, 0, 3)))

    # A statistic instead of a hash: the texture passes through a Fourier transform.
    assert pixels.dtype == np.uint8
    assert pixels.mean(axis=(0, 1)) == pytest.approx([195.178, 187.715, 16.865], abs=0.01)
    expected = [[233, 213, 9], [218, 199, 0], [19, 80, 104]]  # Ground, ground, fractal.
    assert np.abs(pixels[20, 30:33] - np.array(expected)).max() <= 1


def test_another_process_makes_the_same_bytes(systems):
    program = """if True:
        import hashlib
        from alexnet_jax.data.fractals.drawing import Instance, Picture, draw_jpegs
        from alexnet_jax.data.fractals.ifs import find_systems
        picture = Picture(64, 48, 0.0, (8.0, 24.0), 90)
        systems = find_systems(seed=1, count=2, max_similarity=0.7)
        print(draw_jpegs([Instance(systems[1], picture, (7, 1, 1, 5))])[0].hex())
    """
    there = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    # Drawn here after another image: what was drawn before must not matter.
    here = draw_jpegs(
        [Instance(systems[0], SMALL, (7, 1, 0, 5)), Instance(systems[1], SMALL, (7, 1, 1, 5))]
    )
    assert here[1].hex() == there.strip()


def test_drawing_imports_neither_jax_nor_tfds():
    program = (
        "import sys, alexnet_jax.data.fractals.drawing; "
        "print({'jax', 'tensorflow_datasets', 'tensorflow'} & set(sys.modules))"
    )

    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert result.stdout.strip() == "set()"


def test_images_are_jpegs_with_subsampled_chroma(systems):
    (data,) = draw_jpegs([Instance(systems[0], SMALL, (1,))])

    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (64, 48))
    assert [component[1:3] for component in image.layer] == [(2, 2), (1, 1), (1, 1)]


def test_upright_fraction_of_the_images_stands(systems):
    picture = dataclasses.replace(SMALL, upright_fraction=0.3)

    shapes = [draw_pixels(Instance(systems[0], picture, (1, n))).shape for n in range(200)]

    assert set(shapes) == {(48, 64, 3), (64, 48, 3)}
    assert shapes.count((64, 48, 3)) / 200 == pytest.approx(0.3, abs=0.1)


def test_every_instance_differs(systems):
    jpegs = draw_jpegs([Instance(systems[0], SMALL, (1, n)) for n in range(20)])

    assert len(set(jpegs)) == 20


def test_fractal_stands_out_from_its_background(systems):
    for number in range(20):
        rng = np.random.default_rng(number)
        ground, first, last = drawing._draw_colors(rng) @ [0.299, 0.587, 0.114]
        assert min(abs(first - ground), abs(last - ground)) > 85
        assert (first > ground) == (last > ground)


def test_background_has_the_spectrum_of_natural_images():
    texture = drawing._texture(0)[:512, :512]

    power = np.abs(np.fft.rfft2(texture)) ** 2
    frequency = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.rfftfreq(512))
    low = power[(frequency > 0.02) & (frequency < 0.03)].mean()
    high = power[(frequency > 0.2) & (frequency < 0.3)].mean()
    # Amplitude falls as 1 / frequency: a tenfold frequency has a hundredth of the power.
    assert low / high == pytest.approx(100, rel=0.2)


@pytest.mark.slow
def test_several_processes_draw_the_same_in_the_same_order(systems):
    instances = [Instance(systems[number % 3], SMALL, (1, number)) for number in range(300)]

    alone = list(draw_in_order(iter(instances), workers=1))
    together = list(draw_in_order(iter(instances), workers=2))

    assert together == alone
    assert len(alone) == 300


@pytest.mark.slow
def test_drawing_runs_only_a_little_ahead_of_the_reader(systems):
    taken = []

    def instances():
        for number in range(2_000):
            taken.append(number)
            yield Instance(systems[0], SMALL, (1, number))

    images = draw_in_order(instances(), workers=2)
    next(images)
    images.close()

    assert len(taken) <= 9 * drawing._IMAGES_PER_TASK  # 144.


@pytest.mark.slow
def test_color_gives_nothing_away(systems):
    """A linear classifier on each image's mean and spread of color does about chance."""
    picture = Picture(96, 96, 0.0, (8.0, 24.0), 90)
    labels = np.tile(np.arange(10), 120)
    images = [
        draw_pixels(Instance(systems[label], picture, (1, label, number)))
        for number, label in enumerate(labels)
    ]
    colors = np.array([[*i.mean(axis=(0, 1)), *i.std(axis=(0, 1)), 1] for i in images])

    weights = np.linalg.lstsq(colors[:800], np.eye(10)[labels[:800]])[0]
    guesses = (colors[800:] @ weights).argmax(axis=1)

    assert (guesses == labels[800:]).mean() < 0.2


def test_shape_tells_the_categories_apart(systems):
    """Even the nearest of ten mean outlines is mostly the right one."""
    labels = np.tile(np.arange(10), 40)
    covers = np.stack(
        [
            drawing._draw_cover(systems[label], 32, 32, np.random.default_rng(number))
            for number, label in enumerate(labels)
        ]
    )
    outlines = (covers + covers[:, :, ::-1]).reshape(400, -1)  # Blind to the random flip.

    means = np.stack([outlines[:300][labels[:300] == label].mean(axis=0) for label in range(10)])
    distances = np.linalg.norm(outlines[300:, None] - means, axis=2)

    assert (distances.argmin(axis=1) == labels[300:]).mean() > 0.5
