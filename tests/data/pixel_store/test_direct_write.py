import errno
import resource

import numpy as np
import pytest

from alexnet_jax.data.decoding.reused_memory import BatchBuffers
from alexnet_jax.data.pixel_store.direct_write import BLOCK_BYTES, write_at


def random_bytes(shape):
    array = BatchBuffers(shape).take()
    array[:] = np.random.default_rng(0).integers(0, 256, shape)
    return array


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"before" * 2_000)
    return path


@pytest.mark.parametrize("count", [1, 3 * BLOCK_BYTES - 1])
def test_buffers_begin_where_direct_writing_can(count):
    assert BatchBuffers((count,)).take().ctypes.data % BLOCK_BYTES == 0


@pytest.mark.parametrize(
    ("offset", "rows"),
    [(BLOCK_BYTES, 8), (2 * BLOCK_BYTES, 1), (BLOCK_BYTES, 7), (77, 8), (0, 8)],
)
def test_the_bytes_lie_where_they_should_and_nowhere_else(file, offset, rows):
    array, before = random_bytes((rows, 32, 32, 3)), file.read_bytes()
    write_at(file, offset, array)
    expected = before[:offset].ljust(offset, b"\0") + array.tobytes()
    assert file.read_bytes() == expected + before[len(expected) :]


def test_memory_that_lies_elsewhere_is_written_too(file):
    array = random_bytes((4 * BLOCK_BYTES,))[5:]
    write_at(file, BLOCK_BYTES, array)
    assert file.read_bytes()[BLOCK_BYTES : BLOCK_BYTES + array.size] == array.tobytes()


def test_an_error_of_the_disk_is_not_mistaken_for_one_of_the_place(file):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * BLOCK_BYTES, limits[1]))
    try:
        with pytest.raises(OSError) as caught:
            write_at(file, 4 * BLOCK_BYTES, random_bytes((BLOCK_BYTES,)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
