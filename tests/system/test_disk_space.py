import errno
import os

import pytest

from alexnet_jax.errors import MachineError, UserError
from alexnet_jax.system.disk_space import full_disk_reported, require_free_space


def test_work_that_cannot_fit_is_refused_with_both_sizes(tmp_path):
    with pytest.raises(
        UserError, match=rf"records needs 1,000,000,000,000\.0 MB in {tmp_path}, wh"
    ):
        require_free_space(tmp_path, 10**18, "records")


def test_work_that_fits_is_not_refused(tmp_path):
    require_free_space(tmp_path, 1, "records")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("write() failed: No space left on device; writing x; at byte 3145728"),
    ],
)
def test_a_full_disk_is_an_environments_failure_that_names_the_path(tmp_path, error):
    with (
        pytest.raises(MachineError, match=rf"disk full while writing records: {tmp_path} has"),
        full_disk_reported(tmp_path, "records"),
    ):
        raise error


@pytest.mark.parametrize(
    ("error", "kind", "line"),
    [
        (OSError(errno.EIO, "x", "a/b"), MachineError, "a/b: Input/output error"),
        (OSError(errno.EROFS, "x"), MachineError, "records in D: Read-only file system"),
        (PermissionError(errno.EACCES, "x", b"a"), UserError, "a: Permission denied"),
        (
            # As safetensors and TensorStore say it.
            RuntimeError('I/O error: Permission denied (os error 13) at path "/x/.tmp"'),
            UserError,
            "records in D: Permission denied",
        ),
        (ValueError("[OS error 5: EIO Input/output error]"), MachineError, "Input/output"),
    ],
)
def test_what_the_system_refuses_is_a_path_and_a_cause(tmp_path, error, kind, line):
    with pytest.raises(kind) as caught, full_disk_reported(tmp_path, "records"):
        raise error
    assert type(caught.value) is kind
    assert line.replace("D", str(tmp_path)) in str(caught.value)


def test_a_disk_without_inodes_is_not_said_to_have_room(tmp_path, monkeypatch):
    status = os.statvfs_result((4096, 4096, 1000, 900, 900, 500, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: status)
    with (
        pytest.raises(MachineError, match=f"{tmp_path} has no inodes left"),
        full_disk_reported(tmp_path, "records"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_that_was_never_made_has_the_room_of_its_disk(tmp_path):
    with (
        pytest.raises(MachineError, match="MB free"),
        full_disk_reported(tmp_path / "a" / "b", "records"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("error", [ValueError("shape"), UserError("OS error 5")])
def test_other_errors_pass(tmp_path, error):
    with pytest.raises(type(error)) as caught, full_disk_reported(tmp_path, "records"):
        raise error
    assert caught.value is error
