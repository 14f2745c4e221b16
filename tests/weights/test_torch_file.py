"""What does not need PyTorch; the rest is in test_torchvision_peer.py."""

import sys

import pytest

from alexnet_jax.errors import UserError
from alexnet_jax.weights import import_weights


def test_without_pytorch_the_way_out_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "alexnet.pth").write_bytes(b"something")
    with pytest.raises(UserError, match="pip install torch; or save it elsewhere"):
        import_weights(tmp_path / "alexnet.pth", "torchvision")
