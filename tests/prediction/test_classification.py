import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet_jax.evaluation.metrics import NotFiniteError
from alexnet_jax.prediction.classification import classify
from alexnet_jax.prediction.classifier import Classifier, from_workdir

pytestmark = pytest.mark.slow


def by_brightness(images, views):
    """Two classes whose probabilities follow an image's first pixel; ten crops swap them."""
    bright = images[:, 0, 0, 0] / np.float32(255)
    both = np.stack([bright, 1 - bright], axis=1)
    return both if views == "center" else both[:, ::-1]


CLASSIFIER = Classifier(by_brightness, 96, ["bright", "dark"], "", Path("run"), batch_multiple=4)


def test_images_are_classified_by_name(finished, images):
    paths = images(3)
    classifier = from_workdir(finished[0])
    found = list(classify(classifier, paths, "ten_crop"))
    assert [each.path for each in found] == paths
    for each in found:
        names = {classifier.class_names[label] for label, _ in each.classes}
        assert len(names) == 5 and all(name.startswith("fractal_") for name in names)
        values = [value for _, value in each.classes]
        assert sorted(values, reverse=True) == values


def test_the_most_probable_class_comes_first(images):
    for found in classify(CLASSIFIER, images(6), "center"):
        (_, first), (_, second) = found.classes
        assert first >= second


def test_of_equally_probable_classes_the_earlier_comes_first(images):
    even = replace(
        CLASSIFIER, probabilities=lambda images, views: np.full((len(images), 4), 0.25, np.float32)
    )
    (found,) = classify(even, images(1), "center")
    assert [label for label, _ in found.classes] == [0, 1, 2, 3]


def test_views_are_those_that_were_chosen(images):
    paths = images(1)
    (center,), (ten,) = (classify(CLASSIFIER, paths, views) for views in ("center", "ten_crop"))
    assert dict(center.classes)[0] == dict(ten.classes)[1]


def test_top_limits_the_classes(images):
    (found,) = classify(CLASSIFIER, images(1), "center", top=1)
    assert len(found.classes) == 1


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_file_that_is_no_image_is_named_and_the_others_are_classified(images, tmp_path, place):
    paths = images(2)
    notes = tmp_path / "notes.txt"
    notes.write_text("hello")
    expected = list(classify(CLASSIFIER, paths, "center"))
    found = list(classify(CLASSIFIER, [*paths[:place], notes, *paths[place:]], "center"))
    unread = found.pop(place)
    assert (unread.path, unread.classes) == (notes, [])
    assert unread.problem.startswith("not a readable image")
    assert found == expected


def test_an_image_above_the_runs_limit_on_megapixels_is_refused(finished, images, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    path = workdir / "config.json"
    path.write_text(path.read_text().replace('"max_megapixels": 64.0', '"max_megapixels": 0.009'))
    (found,) = classify(from_workdir(workdir), images(1), "ten_crop")
    assert "96x96 pixels are more than 0.009 megapixels" in found.problem


def test_batches_do_not_change_what_is_seen(finished, images, monkeypatch):
    paths, classifier = images(7), from_workdir(finished[0])
    whole = list(classify(classifier, paths, "ten_crop"))
    monkeypatch.setattr("alexnet_jax.prediction.batches._ROWS", 4)
    parts = list(classify(classifier, paths, "ten_crop"))
    assert [each.path for each in parts] == paths
    for one, other in zip(whole, parts, strict=True):
        assert [label for label, _ in one.classes] == [label for label, _ in other.classes]
        assert np.allclose(
            [value for _, value in one.classes], [value for _, value in other.classes], rtol=1e-4
        )


def test_numbers_that_are_not_finite_are_no_prediction(images):
    broken = replace(
        CLASSIFIER,
        probabilities=lambda images, views: by_brightness(images, views) * np.nan,
        way_out="import it again",
    )
    with pytest.raises(NotFiniteError, match="^run predicts .* not finite: import it again$"):
        next(classify(broken, images(1), "center"))
