"""Caffe's two networks, computed by PyTorch from Caffe's own arrays and BGR pixels."""

import numpy as np
import pytest
from made_caffe import layer_v1, network
from test_caffe import ALEXNET, CAFFENET, make_order, make_tensors

from alexnet_jax.weights import import_weights

torch = pytest.importorskip("torch", reason="a peer: pip install -r requirements-peers.txt")

pytestmark = pytest.mark.slow
functional = torch.nn.functional


def normalize(x):
    return functional.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=1.0)


def pool(x):
    return functional.max_pool2d(x, 3, 2)


def caffe_logits(tensors, pixels, operations):
    """The forward pass on RGB pixels; `operations` follow the ReLU of conv1 and conv2."""
    arrays = {name: [torch.from_numpy(each) for each in pair] for name, pair in tensors.items()}
    bgr = pixels[..., ::-1].astype(np.float32) - [104, 117, 123]
    x = torch.from_numpy(bgr.transpose(0, 3, 1, 2).astype(np.float32))
    for name, stride, padding, groups in (
        ("conv1", 4, 0, 1),
        ("conv2", 1, 2, 2),
        ("conv3", 1, 1, 1),
        ("conv4", 1, 1, 2),
        ("conv5", 1, 1, 2),
    ):
        x = functional.relu(functional.conv2d(x, *arrays[name], stride, padding, groups=groups))
        for operation in operations if name in ("conv1", "conv2") else ():
            x = operation(x)
    x = torch.flatten(pool(x), 1)
    x = functional.relu(functional.linear(x, *arrays["fc6"]))
    x = functional.relu(functional.linear(x, *arrays["fc7"]))
    return functional.linear(x, *arrays["fc8"]).numpy()


@pytest.mark.parametrize(
    ("names", "operations"), [(ALEXNET, (normalize, pool)), (CAFFENET, (pool, normalize))]
)
def test_an_imported_caffemodel_gives_caffes_logits(tmp_path, names, operations):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(network(make_tensors(), make_order(names), layer_v1))
    bundle = import_weights(path, "caffe")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 227, 227, 3)).astype(np.uint8)
    found = bundle.model.apply({"params": bundle.params}, bundle.preprocessing(pixels), train=False)
    wanted = caffe_logits(make_tensors(), pixels, operations)
    assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()
