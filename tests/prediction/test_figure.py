import importlib.util
import re

import pytest

from alexnet_jax.data.decoding.images import open_image
from alexnet_jax.errors import UserError
from alexnet_jax.prediction.classification import Prediction
from alexnet_jax.prediction.figure import check_figure, write_figure

pytest.importorskip("matplotlib")

NAMES = ["n02165456", "a $name$ that is much too long for a bar"]


def draw(path, images):
    predictions = [Prediction(image, [(0, 0.75), (1, 0.25)]) for image in images]
    write_figure(predictions, NAMES, path, 64)


def size(path):
    return open_image(path.read_bytes()).size


def test_a_png_has_more_rows_for_more_images(images, tmp_path):
    paths = images(5)
    draw(tmp_path / "one.png", paths[:1])
    draw(tmp_path / "five.png", paths)
    one, five = (size(tmp_path / name) for name in ("one.png", "five.png"))
    assert (five[0] / one[0], five[1] / one[1]) == pytest.approx((4, 2), rel=0.01)


def test_an_svg_names_the_classes_in_english(images, tmp_path, monkeypatch):
    import matplotlib as mpl

    monkeypatch.setitem(mpl.rcParams, "svg.fonttype", "none")  # Text as text.
    draw(tmp_path / "a.svg", images(1))
    text = re.sub(r"\s+", " ", (tmp_path / "a.svg").read_text())
    assert "75% ladybug<" in text
    assert "25% a $name$ that is much too…<" in text


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"a.gif should end in .png or .svg or .pdf"):
        check_figure(tmp_path / "a.gif")


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install matplotlib"):
        check_figure(tmp_path / "a.png")


def test_an_image_that_has_changed_is_named(images, tmp_path):
    (path,) = images(1)
    path.write_text("hello")
    with pytest.raises(UserError, match=f"{path} has changed"):
        draw(tmp_path / "a.png", [path])
    assert not (tmp_path / "a.png").exists()
