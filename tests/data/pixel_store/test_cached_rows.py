import os

import numpy as np
import pytest

from alexnet_jax.data.pixel_store.cached_rows import copy_cached_rows

ROW = 3 * 4096

pytestmark = pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="only Linux can tell")


@pytest.fixture
def written(tmp_path):
    """Eight rows, the file with them behind 4,096 bytes, its descriptor, its map's address."""
    content = np.random.default_rng(0).integers(0, 256, 4096 + 8 * ROW, np.uint8)
    path = tmp_path / "rows"
    content.tofile(path)
    descriptor = os.open(path, os.O_RDONLY)
    mapped = np.memmap(path, mode="r")  # Not given away: pytest would print a map cut short.
    yield content[4096:].reshape(8, ROW), path, descriptor, mapped.ctypes.data
    os.close(descriptor)


def copy(written, indices):
    _, _, descriptor, address = written
    rows = np.zeros((len(indices), ROW), np.uint8)
    copied = copy_cached_rows(
        np.full(len(indices), descriptor, np.int32),
        np.full(len(indices), address),
        4096 + np.array(indices, np.int64) * ROW,
        rows,
    )
    return rows, copied


def test_cached_rows_are_copied_in_the_order_asked_for(written):
    rows, copied = copy(written, [7, 0, 3, 3])
    assert copied.all()
    np.testing.assert_array_equal(rows, written[0][[7, 0, 3, 3]])


def test_rows_behind_the_end_of_a_file_that_became_short_are_left_out(written):
    os.truncate(written[1], 4096 + 2 * ROW)
    rows, copied = copy(written, [1, 2, 7])
    assert copied.tolist() == [True, False, False]
    assert not rows[1:].any()


def test_rows_that_must_come_from_the_disk_are_left_out(written):
    _, _, descriptor, _ = written
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
    rows, copied = copy(written, [5])
    if copied[0]:
        pytest.skip("this file system keeps files in memory")
    assert not rows.any()


def test_no_rows_are_no_error(written):
    assert copy(written, [])[1].shape == (0,)
