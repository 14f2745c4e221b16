"""The same network from a workdir, a file of weights and an exported program."""

from pathlib import Path

import numpy as np
import pytest

from alexnet_jax.data.imagenet.names import imagenet_words
from alexnet_jax.errors import UserError
from alexnet_jax.prediction.classifier import (
    choose_views,
    describe_knowledge,
    from_program,
    from_weights,
    from_workdir,
)
from alexnet_jax.weights import export_weights, read_workdir

pytestmark = pytest.mark.slow

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 96, 96, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    """A folder with the weights and the program of a run."""
    folder = tmp_path_factory.mktemp("exported")
    bundle = read_workdir(finished[0])
    for format in ("safetensors", "stablehlo"):
        export_weights(bundle, folder / format, format)
    return folder


@pytest.fixture(scope="module")
def classifiers(finished, exported):
    return {
        "workdir": from_workdir(finished[0]),
        "weights": from_weights(exported / "safetensors", "safetensors"),
        "program": from_program(exported / "stablehlo"),
    }


@pytest.mark.parametrize("source", ["weights", "program"])
def test_every_source_gives_the_probabilities_of_the_workdir(classifiers, source):
    found, expected = (
        classifiers[each].probabilities(IMAGES, "center") for each in (source, "workdir")
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("source", ["weights", "program"])
def test_every_source_knows_the_classes_and_their_data(classifiers, source):
    workdir = classifiers["workdir"]
    assert classifiers[source].class_names == workdir.class_names
    assert classifiers[source].knowledge == workdir.knowledge
    assert "tiny knows 10 classes of fractals/demo_20 (fractal_0000, " in workdir.knowledge


def test_ten_crops_are_the_default_where_they_can_be_cut(classifiers):
    assert choose_views(classifiers["weights"], None) == "ten_crop"
    assert choose_views(classifiers["workdir"], "center") == "center"
    assert choose_views(classifiers["program"], None) == "center"


def test_a_program_cannot_cut_ten_crops(classifiers):
    with pytest.raises(UserError, match=r"center crop itself: --views=ten_crop needs --workdir"):
        choose_views(classifiers["program"], "ten_crop")


def test_ten_crops_differ_from_the_center(classifiers):
    weights = classifiers["weights"]
    center, ten = (weights.probabilities(IMAGES, views) for views in ("center", "ten_crop"))
    assert not np.allclose(center, ten)


def test_imagenets_classes_are_named_in_english():
    line = describe_knowledge("caffe", list(imagenet_words()), "imagenet2012")
    assert line == (
        "caffe knows 1,000 classes of ImageNet (tench (n01440764), goldfish (n01443537), great "
        "white shark (n01484850), …) and assigns every image to one of them"
    )


def test_imported_weights_of_other_classes_do_not_claim_imagenet():
    line = describe_knowledge("owt", ["class 0", "class 1"], "imagenet2012")
    assert line.startswith("owt knows 2 classes (class 0, class 1) and assigns")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        from_program(Path(tmp_path / "missing"))
