import numpy as np
import pytest
from compiled_network import apply
from made_caffe import chunk, layer, layer_v1, network
from made_weights import random_tensors

from alexnet_jax.errors import UserError
from alexnet_jax.weights import import_weights
from alexnet_jax.weights.caffe import import_caffe

# Of both networks with a sixteenth of their kernels; conv2, conv4 and conv5 are in two groups.
SHAPES = {
    "conv1": (6, 3, 11, 11),
    "conv2": (16, 3, 5, 5),
    "conv3": (24, 16, 3, 3),
    "conv4": (24, 12, 3, 3),
    "conv5": (16, 12, 3, 3),
    "fc6": (64, 576),
    "fc7": (64, 64),
    "fc8": (10, 64),
}
TYPES = {"relu": "ReLU", "norm": "LRN", "pool": "Pooling", "conv": "Convolution"}
TYPES |= {"fc": "InnerProduct", "drop": "Dropout", "data": "Data", "loss": "SoftmaxWithLoss"}
ALEXNET = (
    "data conv1 relu1 norm1 pool1 conv2 relu2 norm2 pool2 conv3 relu3 conv4 relu4 conv5 relu5 pool5"
    " fc6 relu6 drop6 fc7 relu7 drop7 fc8 loss"
)
CAFFENET = ALEXNET.replace("norm1 pool1", "pool1 norm1").replace("norm2 pool2", "pool2 norm2")


def make_order(names):
    return [(name, TYPES[name.rstrip("0123456789")]) for name in names.split()]


def make_file(names=ALEXNET, make_layer=layer, without=(), **changed):
    order = [each for each in make_order(names) if each[0] not in without]
    return network(make_tensors() | changed, order, make_layer)


def make_tensors():
    kernels = random_tensors(SHAPES)
    biases = random_tensors({name: shape[:1] for name, shape in SHAPES.items()}, seed=1)
    return {name: [kernels[name], biases[name]] for name in SHAPES}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.caffemodel"


def refused(path, content, message, **arguments):
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        import_weights(path, "caffe", **arguments)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("make_layer", [layer, layer_v1])
def test_both_forms_of_the_file_are_read(path, make_layer):
    path.write_bytes(make_file(make_layer=make_layer))
    params, tensors = import_weights(path, "caffe").params, make_tensors()
    assert np.array_equal(params["conv4"]["bias"], tensors["conv4"][1])
    assert np.array_equal(params["fc7"]["kernel"], tensors["fc7"][0].T)


@pytest.mark.parametrize(("names", "network_name"), [(ALEXNET, "caffe"), (CAFFENET, "caffenet")])
def test_the_order_of_layers_tells_the_network(path, names, network_name):
    path.write_bytes(make_file(names))
    assert import_weights(path, "caffe").model_name == network_name


def test_conv1_reads_red_where_caffes_reads_its_last_channel(path):
    path.write_bytes(make_file())
    kernel = import_weights(path, "caffe").params["conv1"]["kernel"]
    theirs = make_tensors()["conv1"][0]
    assert kernel[7, 2, 0, 5] == theirs[5, 2, 7, 2]
    assert kernel[7, 2, 2, 5] == theirs[5, 0, 7, 2]


def test_the_mean_is_caffes_turned_to_rgb(path):
    path.write_bytes(make_file())
    preprocessing = import_weights(path, "caffe").preprocessing
    assert preprocessing.mean.shape == (256, 256, 3)
    assert preprocessing.mean[0, 0].tolist() == [123, 117, 104]
    assert preprocessing.std.tolist() == [1, 1, 1]


def test_another_mean_may_be_given(path):
    path.write_bytes(make_file())
    mean = import_caffe(path, bgr_mean=[1.5, 2, 3]).preprocessing.mean
    assert mean[255, 0].tolist() == [3, 2, 1.5]


@pytest.mark.slow
def test_the_network_runs_on_what_came_in(path):
    path.write_bytes(make_file())
    bundle = import_weights(path, "caffe")
    crops = bundle.preprocessing(np.zeros((1, 227, 227, 3), np.uint8))
    assert apply(bundle.model, {"params": bundle.params}, crops).shape == (1, 10)


def test_the_other_network_is_refused_by_both_names(path):
    refused(path, make_file(), "holds network 'caffe', not 'caffenet'", model_name="caffenet")


def test_a_network_that_caffe_files_never_hold_is_refused(path):
    path.write_bytes(make_file())
    with pytest.raises(UserError, match="holds network 'caffe', not 'tiny'"):
        import_weights(path, "caffe", "tiny")


@pytest.mark.slow
def test_a_network_of_other_layers_is_refused(path):
    refused(path, make_file(without=["norm1", "norm2"]), "neither of 'caffe' and 'caffenet'")


def test_a_missing_blob_is_named(path):
    refused(path, make_file(conv3=make_tensors()["conv3"][:1]), "conv3/bias is missing")


def test_a_blob_too_many_is_named(path):
    refused(path, make_file(pool5=[np.zeros(3)]), "pool5/kernel is unexpected")


@pytest.mark.slow
def test_a_wrong_shape_is_shown(path):
    wrong = [np.zeros((24, 6, 3, 3)), np.zeros(24)]
    refused(path, make_file(conv4=wrong), "conv4/kernel has shape 24x6x3x3 instead of 24x12x3x3")


def test_another_number_of_classes_is_refused(path):
    refused(path, make_file(), "has 10 classes, not 1000", num_classes=1000)


@pytest.mark.parametrize("kept", [0.99, 0.5, 0.02])
def test_a_truncated_file_is_refused(path, kept):
    content = make_file()
    refused(path, content[: int(kept * len(content))], "truncated or no .caffemodel")


def test_a_file_cut_between_two_layers_is_refused(path):
    refused(path, make_file(without=["fc8", "loss"]), "neither of")


@pytest.mark.parametrize("content", [b"<html>not found</html>", b"\x80\x02}q\x00."])
def test_another_kind_of_file_is_refused(path, content):
    refused(path, content, "no .caffemodel")


def test_numbers_that_do_not_fill_the_shape_are_refused(path):
    six, seven = (chunk(7, chunk(1, bytes([size]))) for size in (6, 7))
    refused(
        path,
        make_file().replace(six, seven),
        r"conv1 has 24 bytes of numbers, its shape \(7,\) needs 28",
    )


def test_caffes_oldest_form_names_the_way_out(path):
    refused(path, chunk(2, chunk(1, b"\x0a\x05conv1")), "upgrade_net_proto_binary")
