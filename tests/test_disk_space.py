import errno

import pytest

from alexnet_jax.disk_space import full_disk_reported, require_free_space
from alexnet_jax.errors import UserError


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
def test_a_full_disk_is_a_users_error_that_names_the_path(tmp_path, error):
    with (
        pytest.raises(UserError, match=rf"disk full while writing records: {tmp_path} has"),
        full_disk_reported(tmp_path, "records"),
    ):
        raise error


def test_other_errors_pass(tmp_path):
    with pytest.raises(OSError, match="denied"), full_disk_reported(tmp_path, "records"):
        raise OSError(errno.EACCES, "denied")
