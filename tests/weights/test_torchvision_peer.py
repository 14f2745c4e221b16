"""Held against PyTorch: its files, its module built as torchvision builds AlexNet, its logits."""

import os

import numpy as np
import pytest
from made_weights import make_bundle
from safetensors.numpy import load_file

from alexnet_jax.errors import UserError
from alexnet_jax.weights import export_weights, import_weights

torch = pytest.importorskip("torch", reason="a peer: pip install -r requirements-peers.txt")

pytestmark = pytest.mark.slow
nn = torch.nn


class TorchAlexNet(nn.Module):
    """torchvision/models/alexnet.py with a sixteenth of the kernels, a 64th of the units."""

    def __init__(self, classes=10):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(4, 12, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(12, 24, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(24, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(),
            nn.Linear(16 * 6 * 6, 64),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(64, 64),
            nn.ReLU(),
            nn.Linear(64, classes),
        )

    def forward(self, images):
        return self.classifier(torch.flatten(self.features(images), 1))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return TorchAlexNet().eval()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "alexnet.pth"


def inputs():
    return np.random.default_rng(0).normal(0, 1, (3, 224, 224, 3)).astype(np.float32)


def torch_logits(network):
    with torch.no_grad():
        return network(torch.from_numpy(inputs().transpose(0, 3, 1, 2))).numpy()


def our_logits(bundle):
    return bundle.model.apply({"params": bundle.params}, inputs(), train=False)


def relative_error(found, wanted):
    return np.abs(found - wanted).max() / np.abs(wanted).max()


@pytest.mark.parametrize("new_format", [True, False])
def test_an_imported_pth_gives_pytorchs_logits(network, path, new_format):
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=new_format)
    found = our_logits(import_weights(path, "torchvision"))
    assert relative_error(found, torch_logits(network)) < 1e-5


def test_pytorch_loads_what_we_export_and_gives_our_logits(tmp_path):
    bundle = make_bundle("owt")
    export_weights(bundle, tmp_path / "owt.safetensors", "torchvision")
    tensors = load_file(tmp_path / "owt.safetensors")
    loaded = TorchAlexNet().eval()
    loaded.load_state_dict({name: torch.from_numpy(each) for name, each in tensors.items()})
    assert relative_error(torch_logits(loaded), our_logits(bundle)) < 1e-5


class Code:
    """A pickle of this makes a folder when it is read by whoever trusts it."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_a_pickle_that_carries_code_is_refused_and_not_run(network, path, tmp_path):
    trap = tmp_path / "trap"
    torch.save(network.state_dict() | {"code": Code(str(trap))}, path)
    with pytest.raises(UserError, match="could be code.* nothing of it was run"):
        import_weights(path, "torchvision")
    assert not trap.exists()


@pytest.mark.parametrize("kept", [0.99, 0.5, 0.01])
def test_a_truncated_pth_is_refused(network, path, kept):
    torch.save(network.state_dict(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(UserError, match=r"alexnet.pth .*(truncated|damaged)"):
        import_weights(path, "torchvision")


def test_another_kind_of_file_is_refused(path):
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(UserError, match="damaged"):
        import_weights(path, "torchvision")


def test_a_whole_training_checkpoint_is_refused(network, path):
    torch.save({"epoch": 3, "state_dict": network.state_dict()}, path)
    with pytest.raises(
        UserError, match='epoch is no tensor; state_dict is no tensor; .*only its "state_dict"'
    ):
        import_weights(path, "torchvision")


def test_a_lone_tensor_is_refused(path):
    torch.save(torch.zeros(3), path)
    with pytest.raises(UserError, match="holds a Tensor, not a state_dict"):
        import_weights(path, "torchvision")
