import json

import numpy as np
import pytest
from made_weights import make_bundle, same_params
from safetensors.numpy import save_file

from alexnet_jax.errors import UserError
from alexnet_jax.weights import export_weights, import_weights
from alexnet_jax.weights.files import read_safetensors


@pytest.fixture
def path(tmp_path):
    return tmp_path / "network.safetensors"


def rewrite(path, change_tensors=None, change_description=None):
    """Export a network and damage the file in one place."""
    export_weights(make_bundle(), path, "safetensors")
    tensors, metadata = read_safetensors(path)
    description = json.loads(metadata["alexnet_jax"])
    if change_tensors:
        change_tensors(tensors)
    if change_description:
        change_description(description)
    save_file(tensors, path, {"alexnet_jax": json.dumps(description)})


def refused(path, message, **arguments):
    with pytest.raises(UserError, match=message):
        import_weights(path, "safetensors", **arguments)


def test_everything_comes_back(path):
    bundle = make_bundle(dtype="bfloat16", config={"model": {"name": "tiny"}})
    export_weights(bundle, path, "safetensors")
    found = import_weights(path, "safetensors")
    assert same_params(found.params, bundle.params)
    assert np.array_equal(found.preprocessing.mean, bundle.preprocessing.mean)
    assert np.array_equal(found.preprocessing.std, bundle.preprocessing.std)
    for field in ("model_name", "class_names", "crop_size", "dtype", "config"):
        assert getattr(found, field) == getattr(bundle, field), field


def test_changes_of_the_table_come_back(path):
    export_weights(make_bundle(modifications=("no_lrn",)), path, "safetensors")
    assert import_weights(path, "safetensors").model.spec.normalization is None


def test_batch_statistics_come_back(path):
    bundle = make_bundle(modifications=("batch_norm",))
    export_weights(bundle, path, "safetensors")
    found = import_weights(path, "safetensors")
    assert same_params(found.params, bundle.params)
    assert same_params(found.batch_stats, bundle.batch_stats)
    assert found.batch_stats.keys() == {f"conv{number}_norm" for number in range(1, 6)}


@pytest.mark.slow
def test_missing_batch_statistics_are_named(path):
    export_weights(make_bundle(modifications=("batch_norm",)), path, "safetensors")
    tensors, metadata = read_safetensors(path)
    del tensors["batch_stats/conv2_norm/var"]
    save_file(tensors, path, metadata)
    refused(path, "batch_stats/conv2_norm/var is missing")


def test_tensors_are_called_by_layer_and_kind(path):
    export_weights(make_bundle(), path, "safetensors")
    tensors, _ = read_safetensors(path)
    assert {"conv1/kernel", "fc8/bias", "preprocessing/mean"} <= set(tensors)


def test_another_network_than_asked_is_refused_by_both_names(path):
    export_weights(make_bundle(), path, "safetensors")
    refused(path, "holds network 'tiny', not 'original'", model_name="original")


def test_another_number_of_classes_is_refused(path):
    export_weights(make_bundle(), path, "safetensors")
    refused(path, "has 10 classes, not 12", num_classes=12)


def test_a_missing_tensor_is_named(path):
    rewrite(path, lambda tensors: tensors.pop("conv3/kernel"))
    refused(path, "conv3/kernel is missing")


def test_a_missing_mean_is_named(path):
    rewrite(path, lambda tensors: tensors.pop("preprocessing/mean"))
    refused(path, "preprocessing/mean missing")


@pytest.mark.slow
def test_a_tensor_too_many_is_named(path):
    rewrite(path, lambda tensors: tensors.update(extra=np.zeros(1, np.float32)))
    refused(path, "extra is unexpected")


def test_a_mean_that_is_no_image_is_refused(path):
    rewrite(path, lambda tensors: tensors.update({"preprocessing/mean": np.zeros((3, 3))}))
    refused(path, r"mean image is \[3, 3\], not \[S, S, 3\] \(preprocessing/mean")


@pytest.mark.slow
def test_a_list_of_classes_too_short_is_refused(path):
    rewrite(path, change_description=lambda text: text["class_names"].pop())
    refused(path, "fc8/kernel has shape 256x10 instead of 256x9")


def test_an_unknown_network_is_refused(path):
    rewrite(path, change_description=lambda text: text.update(model_name="resnet"))
    refused(path, "no model 'resnet'; the known ones")


def test_a_later_version_is_refused(path):
    rewrite(path, change_description=lambda text: text.update(version=7))
    refused(path, "version 7, this program reads 1")


def test_a_description_without_a_field_is_refused(path):
    rewrite(path, change_description=lambda text: text.pop("crop_size"))
    refused(path, "description is damaged")


def test_a_file_of_another_program_is_named(path):
    save_file({"features.28.weight": np.zeros((8, 8, 3, 3), np.float32)}, path)
    refused(path, "not a weights file of alexnet_jax but a VGG")
