"""`caffe` and `caffenet` against OpenCV, which reads the files that Caffe would."""

import jax
import numpy as np
import pytest
from caffe_files import write_caffemodel, write_prototxt

from alexnet_jax.models import create_model

cv2 = pytest.importorskip("cv2", reason="`make test-peers` installs OpenCV")

pytestmark = pytest.mark.slow
pytest.importorskip("torch", reason="`make test-peers` installs torch")

from torch_layout import params_to_torch, random_params, relative_error  # noqa: E402

CLASSES = 10


@pytest.mark.parametrize(("name", "pool_first"), [("caffe", False), ("caffenet", True)])
def test_logits_equal_opencvs(name, pool_first, tmp_path):
    model = create_model(name, CLASSES)
    params = random_params(model, seed=1)
    state = params_to_torch(params)
    layers = {n: (state[f"{n}.weight"].numpy(), state[f"{n}.bias"].numpy()) for n in params}
    write_prototxt(tmp_path / "deploy.prototxt", pool_first, CLASSES)
    write_caffemodel(tmp_path / "net.caffemodel", layers)
    images = 60 * np.random.default_rng(2).standard_normal((1, 227, 227, 3), np.float32)

    peer = cv2.dnn.readNetFromCaffe(
        str(tmp_path / "deploy.prototxt"), str(tmp_path / "net.caffemodel")
    )
    peer.setInput(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    expected = peer.forward("fc8")
    actual = jax.jit(lambda p, x: model.apply({"params": p}, x, train=False))(params, images)
    assert relative_error(actual, expected) < 1e-4
