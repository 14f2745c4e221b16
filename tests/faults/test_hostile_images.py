"""Image files made to do harm, and files damaged at random: refused in a line, at no cost."""

import io
import os
import stat

import bombs
import numpy as np
import pytest
from memory import run_measured
from PIL import Image

from alexnet_jax.data.decoding.images import FORMATS, MAX_MEGAPIXELS, read_image

GIGABYTE = 1_000_000_000
SEEDS = {
    "JPEG": bombs.encode(Image.effect_noise((48, 40), 90).convert("RGB"), "JPEG"),
    "progressive": bombs.encode(Image.effect_noise((48, 40), 90), "JPEG", progressive=True),
    "CMYK": bombs.encode(Image.effect_noise((48, 40), 90).convert("CMYK"), "JPEG"),
    "PNG": bombs.encode(Image.effect_noise((48, 40), 90), "PNG"),
    "palette": bombs.encode(Image.effect_noise((48, 40), 90).quantize(9), "PNG", transparency=2),
    "GIF": bombs.encode(Image.effect_noise((48, 40), 90), "GIF"),
    "BMP": bombs.encode(Image.effect_noise((24, 20), 90), "BMP"),
    "PPM": bombs.encode(Image.effect_noise((24, 20), 90), "PPM"),
    "TIFF": bombs.encode(Image.effect_noise((24, 20), 90), "TIFF"),
    "float TIFF": bombs.encode(Image.effect_noise((24, 20), 90).convert("F"), "TIFF"),
    "LZW": bombs.encode(Image.effect_noise((24, 20), 90), "TIFF", compression="tiff_lzw"),
    "WebP": bombs.encode(Image.effect_noise((48, 40), 90), "WEBP"),
    "AVIF": bombs.encode(Image.effect_noise((48, 40), 90), "AVIF"),
}
MUTANTS = 60  # Of each.


@pytest.mark.parametrize("name", bombs.TOO_LARGE)
def test_an_image_that_is_too_large_is_refused_by_its_header(name):
    with pytest.raises(ValueError, match="pixels are more than|exceeds limit"):
        read_image(bombs.TOO_LARGE[name])


@pytest.mark.parametrize("name", bombs.DAMAGED)
def test_a_file_with_more_inside_than_its_header_says_is_refused(name):
    with pytest.raises(ValueError, match="not a readable image: [^\n]+$"):
        read_image(bombs.DAMAGED[name])


@pytest.mark.slow
def test_no_bomb_takes_a_gigabyte():
    code = """
import bombs
from alexnet_jax.data.decoding.images import read_image
for data in (bombs.TOO_LARGE | bombs.DAMAGED).values():
    try:
        read_image(data)
    except ValueError as error:
        print(error)
"""
    out, _, peak = run_measured(code)
    assert len(out.splitlines()) == len(bombs.TOO_LARGE | bombs.DAMAGED)
    assert peak < 0.3 * GIGABYTE


# Of those allowed by the header, the ones whose decoding takes most.
@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        "bombs.claiming_jpeg(8_000, 'CMYK', progressive=True)",
        "bombs.encode(Image.new('F', (8_000, 8_000)), 'TIFF')",
    ],
)
def test_the_largest_image_allowed_takes_less_than_a_gigabyte(tmp_path, make):
    path = tmp_path / "image"
    namespace = {"bombs": bombs, "Image": Image}
    path.write_bytes(eval(make, namespace))
    code = """
import sys
from alexnet_jax.data.decoding.images import read_image
print(read_image(open(sys.argv[1], "rb").read()).shape)
"""
    out, err, peak = run_measured(code, path)
    assert (out, err) == ("(256, 256, 3)\n", "")
    assert peak < GIGABYTE


def test_the_limit_can_be_raised_and_lowered():
    image = bombs.encode(Image.new("RGB", (200, 100)), "PNG")
    assert read_image(image, 8, max_megapixels=0.02).shape == (8, 8, 3)
    with pytest.raises(ValueError, match=r"200x100 pixels are more than 0\.0199 megapixels"):
        read_image(image, 8, max_megapixels=0.0199)
    assert MAX_MEGAPIXELS == 64


@pytest.mark.parametrize("seed", SEEDS)
def test_only_value_errors_come_of_damaged_bytes(seed):
    random = np.random.default_rng(sum(seed.encode()))
    whole = np.frombuffer(SEEDS[seed], np.uint8)
    for number in range(MUTANTS):
        data = whole[: random.integers(1, len(whole))] if number % 4 == 0 else whole.copy()
        if number % 4:
            # The first bytes hold the sizes and counts: half of the changes fall there.
            end = len(data) if number % 2 else min(len(data), 100)
            places = random.integers(0, end, random.integers(1, 5))
            data[places] = random.choice([0, 1, 127, 128, 255, *random.integers(0, 256, 3)])
        try:
            result = read_image(data.tobytes(), 16)
        except ValueError as error:
            assert "\n" not in str(error)
        else:
            assert result.shape == (16, 16, 3)


@pytest.mark.filterwarnings("ignore")  # Pillow's own remarks, which a program does not print.
def test_what_a_decoder_raises_is_a_value_error(monkeypatch):
    # A bit-flipped AVIF raised RuntimeError; which flips do depends on the decoder's version.
    def fail(*arguments, **options):
        raise RuntimeError("Failed to decode frame 0")

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(ValueError, match="not a readable image: Failed to decode frame 0"):
        read_image(SEEDS["AVIF"])


def test_numbers_that_are_none_become_black():
    pixels = np.full((8, 8), np.nan, np.float32)
    pixels[:, 4:] = np.inf
    result = read_image(bombs.encode(Image.fromarray(pixels), "TIFF"), 8)
    assert np.array_equal(result[..., 0], np.repeat([[0] * 4 + [255] * 4], 8, axis=0))


@pytest.mark.parametrize("kind", ["JPEG2000", "ICO", "TGA", "PDF"])
def test_only_the_listed_formats_are_read(kind):
    assert kind not in FORMATS
    with pytest.raises(ValueError, match="not a readable image"):
        read_image(bombs.encode(Image.new("RGB", (16, 16)), kind))


def test_an_image_file_starts_no_program(tmp_path, monkeypatch):
    trace = tmp_path / "started"
    for name in ("gs", "gswin32c", "gswin64c", "djpeg"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\ntouch {trace}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    data = bombs.eps(trace)
    with pytest.raises(ValueError, match="not a readable image"):
        read_image(data)
    assert not trace.exists()
    # That the trap works: Pillow itself starts the program.
    with pytest.raises(OSError), Image.open(io.BytesIO(data)) as image:
        image.load()
    assert trace.exists()
