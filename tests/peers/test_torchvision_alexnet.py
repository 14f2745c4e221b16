"""`owt` against torchvision's own AlexNet, with its weights."""

import jax
import numpy as np
import pytest

from alexnet_jax.models import create_model

torch = pytest.importorskip("torch", reason="`make test-peers` installs torch")

pytestmark = pytest.mark.slow
pytest.importorskip("torchvision_models", reason="`make test-peers` installs torchvision")

from torch_layout import images_to_torch, params_from_torch, relative_error  # noqa: E402
from torchvision_models import alexnet  # noqa: E402

# Where torchvision keeps each of our layers: by place in two sequences.
PLACES = {
    "conv1": "features.0",
    "conv2": "features.3",
    "conv3": "features.6",
    "conv4": "features.8",
    "conv5": "features.10",
    "fc6": "classifier.1",
    "fc7": "classifier.4",
    "fc8": "classifier.6",
}


@pytest.fixture(scope="module")
def peer():
    torch.manual_seed(0)
    return alexnet(weights=None).eval()


def our_params(peer):
    state = peer.state_dict()
    renamed = {
        f"{name}.{kind}": state.pop(f"{place}.{kind}")
        for name, place in PLACES.items()
        for kind in ("weight", "bias")
    }
    assert not state, "nothing of torchvision's is left over"
    return params_from_torch(renamed)


def test_logits_of_owt_equal_torchvisions(peer):
    images = np.random.default_rng(0).standard_normal((2, 224, 224, 3), np.float32)
    model = create_model("owt")
    evaluate = jax.jit(lambda p, x: model.apply({"params": p}, x, train=False))
    actual = evaluate(our_params(peer), images)
    with torch.no_grad():
        expected = peer(images_to_torch(images)).numpy()
    assert relative_error(actual, expected) < 1e-5


def test_initial_kernels_of_owt_spread_as_torchvisions(peer):
    """Both draw uniformly within ±1/sqrt(inputs), biases too."""
    theirs = our_params(peer)
    images = np.zeros((1, 224, 224, 3), np.float32)
    model = create_model("owt")
    ours = jax.jit(lambda key: model.init(key, images, train=False)["params"])(jax.random.key(0))
    for name, layer in theirs.items():
        bound = (layer["kernel"].size / layer["kernel"].shape[-1]) ** -0.5
        for kind in ("kernel", "bias"):
            for values in (layer[kind], np.asarray(ours[name][kind])):
                assert 0.9 * bound < np.abs(values).max() <= 1.000001 * bound
                assert values.std() == pytest.approx(bound / 3**0.5, rel=0.2)
