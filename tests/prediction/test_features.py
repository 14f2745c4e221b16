import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from alexnet_jax.data.decoding.images import read_image
from alexnet_jax.data.preprocessing import center_crop
from alexnet_jax.errors import UserError
from alexnet_jax.prediction.activations import capture_activations
from alexnet_jax.prediction.feature_file import write_features
from alexnet_jax.prediction.features import Features, extract, make_extractor
from alexnet_jax.weights import read_workdir

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def extractor(finished):
    return make_extractor(finished[0], ["fc7", "conv5"])


def test_features_are_the_activations_of_the_center_crop(finished, extractor, images):
    paths = images(3)
    (found,) = extract(extractor, paths)
    bundle = read_workdir(finished[0])
    pixels = np.stack([read_image(path.read_bytes(), 96) for path in paths])
    crops = bundle.preprocessing(center_crop(pixels, bundle.crop_size))
    expected = capture_activations(bundle.model, bundle.variables, crops, ["fc7", "conv5"])
    assert found.paths == paths
    for layer in ("fc7", "conv5"):
        np.testing.assert_allclose(found.activations[layer], expected[layer], atol=1e-3)


def test_an_image_that_cannot_be_read_is_left_out(extractor, images):
    paths = images(3)
    (whole,) = extract(extractor, paths)
    paths[1].write_text("hello")
    (found,) = extract(extractor, paths)
    assert found.paths == [paths[0], paths[2]]
    assert [path for path, _ in found.problems] == [paths[1]]
    np.testing.assert_allclose(
        found.activations["fc7"], whole.activations["fc7"][[0, 2]], atol=1e-3
    )


def test_an_unknown_layer_is_refused_with_the_known_ones(finished):
    with pytest.raises(UserError, match="no layer 'fc9'; this network has conv1, .*, fc8"):
        make_extractor(finished[0], ["fc7", "fc9"])


SHAPES = {"fc7": (4,), "conv5": (2, 2, 3)}
LONG = "long/" * 20


def parts():
    """Ten images, some at a time, with their numbers as features."""
    for first, count in ((0, 3), (3, 0), (3, 7)):
        numbers = np.arange(first, first + count, dtype=np.float32)
        activations = {
            layer: numbers.reshape(-1, *[1] * len(shape)) * np.ones(shape, np.float32)
            for layer, shape in SHAPES.items()
        }
        paths = [Path(f"{LONG if number == 9 else ''}{number:.0f}.png") for number in numbers]
        yield Features(paths, activations, [])


def test_an_npz_holds_the_layers_and_the_paths_without_pickle(tmp_path):
    assert write_features(tmp_path / "a.npz", SHAPES, parts()) == 10
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {"fc7", "conv5", "paths"}
        assert arrays["conv5"].shape == (10, 2, 2, 3)
        assert arrays["conv5"].dtype == np.float32
        assert arrays["fc7"][:, 0].tolist() == list(range(10))
        assert arrays["paths"].tolist() == [*(f"{n}.png" for n in range(9)), f"{LONG}9.png"]


def test_a_safetensors_file_holds_the_same(tmp_path):
    write_features(tmp_path / "a.safetensors", SHAPES, parts())
    with safe_open(tmp_path / "a.safetensors", "numpy") as file:
        assert file.get_tensor("fc7")[:, 0].tolist() == list(range(10))
        assert file.get_tensor("conv5")[9].tolist() == np.full((2, 2, 3), 9).tolist()
        assert json.loads(file.metadata()["paths"])[9] == f"{LONG}9.png"


def test_without_images_nothing_is_written(tmp_path):
    none = Features([], {layer: np.empty((0, *shape)) for layer, shape in SHAPES.items()}, [])
    with pytest.raises(UserError, match="none of the images can be read"):
        write_features(tmp_path / "a.npz", SHAPES, [none])
    assert list(tmp_path.iterdir()) == []


def test_another_format_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"a.csv should end in .npz or .safetensors"):
        write_features(tmp_path / "a.csv", SHAPES, parts())
