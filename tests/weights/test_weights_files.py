"""What is read and where an export may write; .pth files are in test_torchvision_peer.py."""

import os
import stat
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from alexnet_jax.errors import UserError
from alexnet_jax.weights import import_weights
from alexnet_jax.weights.files import exported_file, read_safetensors, write_safetensors


def write(path):
    with exported_file(path) as unfinished:
        unfinished.write_text("weights")


def test_a_file_is_replaced(tmp_path):
    (tmp_path / "a").write_text("old")
    write(tmp_path / "a")
    assert (tmp_path / "a").read_text() == "weights"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=f"there is no folder {tmp_path}/no"):
        write(tmp_path / "no" / "a")


def make_node(path):
    """A node like /dev/null."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("making a device's node needs root")


@pytest.mark.parametrize("make", [os.mkfifo, make_node, os.mkdir])
@pytest.mark.parametrize("through_link", [False, True])
def test_what_is_no_file_is_refused_and_stays(tmp_path, make, through_link):
    path = tmp_path / "pipe"
    make(path)
    before = path.lstat()
    if through_link:
        (tmp_path / "link").symlink_to(path)
    with pytest.raises(UserError, match=r"cannot be written: it is (no regular file|a folder)"):
        write(tmp_path / "link" if through_link else path)
    assert path.lstat() == before
    assert len(list(tmp_path.iterdir())) == 1 + through_link


def test_a_link_to_an_open_pipe_is_refused(tmp_path):
    """What /dev/stdout is behind `| less`."""
    ends = os.pipe()
    (tmp_path / "stdout").symlink_to(f"/proc/self/fd/{ends[1]}")
    with pytest.raises(UserError, match=f"{tmp_path}/stdout cannot be written: it is no regular"):
        write(tmp_path / "stdout")
    for end in ends:
        os.close(end)


def test_a_link_stays_and_its_file_is_written(tmp_path):
    """As /dev/stdout is a link: renaming a file to it would take it away from everybody."""
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "weights"


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
