import os
import stat

import pytest

from alexnet_jax.errors import UserError
from alexnet_jax.system.output_file import check_output, output_file


def write(path):
    with output_file(path) as unfinished:
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


def test_another_ending_than_the_formats_is_refused(tmp_path):
    check_output(tmp_path / "a.NPZ", [".npz"])
    with pytest.raises(UserError, match=r"a.txt should end in .npz or .safetensors"):
        check_output(tmp_path / "a.txt", [".npz", ".safetensors"])
