"""torchvision's files, without PyTorch: its names and shapes are written out here by hand."""

import numpy as np
import pytest
from compiled_network import apply
from made_weights import make_bundle, random_tensors, same_params
from safetensors import safe_open
from safetensors.numpy import save_file

from alexnet_jax.errors import UserError
from alexnet_jax.weights import export_weights, import_weights
from alexnet_jax.weights.torchvision import has_torchvision_input

# Of `owt` with a sixteenth of its kernels and a 64th of its units.
SHAPES = {
    "features.0.weight": (4, 3, 11, 11),
    "features.0.bias": (4,),
    "features.3.weight": (12, 4, 5, 5),
    "features.3.bias": (12,),
    "features.6.weight": (24, 12, 3, 3),
    "features.6.bias": (24,),
    "features.8.weight": (16, 24, 3, 3),
    "features.8.bias": (16,),
    "features.10.weight": (16, 16, 3, 3),
    "features.10.bias": (16,),
    "classifier.1.weight": (64, 576),
    "classifier.1.bias": (64,),
    "classifier.4.weight": (64, 64),
    "classifier.4.bias": (64,),
    "classifier.6.weight": (10, 64),
    "classifier.6.bias": (10,),
}


@pytest.fixture
def state_dict():
    return random_tensors(SHAPES)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "alexnet.safetensors"


def refused(path, tensors, message, **arguments):
    save_file(tensors, path)
    with pytest.raises(UserError, match=message) as error:
        import_weights(path, "torchvision", **arguments)
    assert str(path) in str(error.value)


def test_every_tensor_comes_to_its_layer(state_dict, path):
    save_file(state_dict, path)
    params = import_weights(path, "torchvision").params
    assert np.array_equal(params["conv4"]["bias"], state_dict["features.8.bias"])
    assert np.array_equal(params["fc8"]["kernel"], state_dict["classifier.6.weight"].T)
    assert params["fc6"]["kernel"].shape == (576, 64)


@pytest.mark.slow
def test_the_network_runs_on_what_came_in(state_dict, path):
    save_file(state_dict, path)
    bundle = import_weights(path, "torchvision")
    crops = bundle.preprocessing(np.zeros((2, 224, 224, 3), np.uint8))
    assert apply(bundle.model, {"params": bundle.params}, crops).shape == (2, 10)


def test_pixels_are_scaled_as_torchvision_does(state_dict, path):
    save_file(state_dict, path)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3)).astype(np.uint8)
    found = import_weights(path, "torchvision").preprocessing(pixels)
    wanted = (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_half_precision_is_widened(state_dict, path):
    save_file({name: tensor.astype(np.float16) for name, tensor in state_dict.items()}, path)
    assert import_weights(path, "torchvision").params["conv1"]["kernel"].dtype == np.float32


def test_a_thousand_classes_are_imagenets(state_dict, path):
    more = random_tensors({"classifier.6.weight": (1000, 64), "classifier.6.bias": (1000,)})
    save_file(state_dict | more, path)
    names = import_weights(path, "torchvision").class_names
    assert (len(names), names[0], names[999]) == (1000, "n01440764", "n15075141")


def test_export_gives_back_the_file_that_came_in(state_dict, path, tmp_path):
    save_file(state_dict, path)
    export_weights(import_weights(path, "torchvision"), tmp_path / "out.safetensors", "torchvision")
    with safe_open(tmp_path / "out.safetensors", framework="numpy") as file:
        assert set(file.keys()) == set(state_dict)
        assert all(np.array_equal(file.get_tensor(name), state_dict[name]) for name in state_dict)


def test_a_mean_image_of_ours_travels_with_the_file(path):
    bundle = make_bundle("owt")
    export_weights(bundle, path, "torchvision")
    found = import_weights(path, "torchvision")
    assert same_params(found.params, bundle.params)
    assert np.array_equal(found.preprocessing.mean, bundle.preprocessing.mean)
    assert np.array_equal(found.preprocessing.std, bundle.preprocessing.std)
    assert found.class_names == bundle.class_names


def test_whether_torchvisions_transforms_fit_is_known(state_dict, path):
    save_file(state_dict, path)
    assert has_torchvision_input(import_weights(path, "torchvision"))
    assert not has_torchvision_input(make_bundle("owt"))


def test_a_network_with_other_layers_is_not_exported(path):
    with pytest.raises(UserError, match="is network 'owt' and cannot hold 'tiny'"):
        export_weights(make_bundle("tiny"), path, "torchvision")


@pytest.mark.slow
def test_a_missing_tensor_is_named(state_dict, path):
    del state_dict["features.6.bias"]
    refused(
        path,
        state_dict,
        "of network 'owt', it is incomplete or damaged: features.6.bias is missing",
    )


@pytest.mark.slow
def test_a_missing_output_is_named(state_dict, path):
    del state_dict["classifier.6.bias"]
    refused(path, state_dict, "classifier.6.bias is missing")


@pytest.mark.slow
def test_a_tensor_too_many_is_named(state_dict, path):
    state_dict["features.12.weight"] = np.zeros(3, np.float32)
    refused(path, state_dict, "features.12.weight is unexpected")


def test_a_wrong_shape_is_shown_beside_the_right_one(state_dict, path):
    state_dict["features.3.weight"] = np.zeros((12, 4, 3, 3), np.float32)
    refused(path, state_dict, "features.3.weight has shape 12x4x3x3 instead of 12x4x5x5")


def test_a_network_of_ours_in_the_wrong_format_is_named(path):
    export_weights(make_bundle("tiny"), path, "safetensors")
    with pytest.raises(UserError, match="not a file of network 'owt', it holds 'tiny'"):
        import_weights(path, "torchvision")


def test_a_network_of_torchvisions_that_is_no_alexnet_is_named(path):
    resnet = {"layer1.0.conv1.weight": np.zeros((64, 64, 3, 3), np.float32)}
    refused(path, resnet, "not a file of network 'owt', it holds a ResNet")


def test_another_number_of_classes_is_refused(state_dict, path):
    refused(path, state_dict, "has 10 classes, not 1000", num_classes=1000)


@pytest.mark.slow
def test_an_output_whose_parts_disagree_is_refused(state_dict, path):
    state_dict["classifier.6.bias"] = np.zeros(11, np.float32)
    refused(path, state_dict, "classifier.6.weight has shape 10x64 instead of 11x64")


def test_numbers_that_are_not_finite_are_refused(state_dict, path):
    state_dict["features.0.bias"][2] = np.nan
    refused(path, state_dict, "1 numbers of features.0.bias are not finite")


def test_integers_are_refused(state_dict, path):
    state_dict["features.0.bias"] = np.zeros(4, np.int8)
    refused(path, state_dict, "features.0.bias is I8; save it as one of F16, F32, F64")


def test_batch_normalisation_is_more_than_its_class_can_hold(path):
    with pytest.raises(UserError, match=r"cannot hold 'owt with batch_norm'.*--format=safetensors"):
        export_weights(make_bundle("owt", modifications=("batch_norm",)), path, "torchvision")
