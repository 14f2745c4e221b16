"""What is read; .pth files are in test_torchvision_peer.py."""

import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from alexnet_jax.errors import UserError
from alexnet_jax.weights import import_weights
from alexnet_jax.weights.files import read_safetensors, write_safetensors


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "some.safetensors"
    save_file({"a": np.ones((100, 3), np.float32)}, path)
    return path


@pytest.mark.parametrize("kept", [0.9, 0.1])
def test_a_truncated_file_says_how_much_is_there(path, kept):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(UserError, match="some.safetensors"):
        read_safetensors(path)
    if kept == 0.9:
        with pytest.raises(UserError, match=f"truncated: {len(path.read_bytes()):,} of"):
            read_safetensors(path)


@pytest.mark.parametrize("content", [b"<html>not found</html>", b"\x80\x02pickle", b"x" * 5])
def test_another_kind_of_file_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as safetensors"):
        read_safetensors(path)


def test_an_empty_file_is_refused(path):
    path.write_bytes(b"")
    with pytest.raises(UserError, match="is empty"):
        read_safetensors(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="there is no file .*no.safetensors"):
        read_safetensors(tmp_path / "no.safetensors")


def test_arrays_in_any_order_of_axes_are_written_right(tmp_path):
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    write_safetensors(tmp_path / "f.safetensors", {"a": array}, {"note": "text"})
    tensors, metadata = read_safetensors(tmp_path / "f.safetensors")
    assert np.array_equal(tensors["a"], array)
    assert metadata == {"note": "text"}


def test_nothing_unfinished_is_left_where_writing_fails(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(UserError, match="it is a folder"):
        write_safetensors(tmp_path / "taken", {"a": np.zeros(1, np.float32)}, {})
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]


def test_without_pytorch_the_way_out_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "alexnet.pth").write_bytes(b"something")
    with pytest.raises(UserError, match="pip install torch; or save it elsewhere"):
        import_weights(tmp_path / "alexnet.pth", "torchvision")
