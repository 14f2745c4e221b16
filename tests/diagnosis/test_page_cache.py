import os
import sys

import pytest

from alexnet_jax.diagnosis.page_cache import drop_from_memory


def cached_bytes(file):
    """How much of a file Linux can give without asking the disk."""
    descriptor = os.open(file, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)  # It must not read more than asked.
    try:
        return os.preadv(descriptor, [bytearray(file.stat().st_size)], 0, os.RWF_NOWAIT)
    except BlockingIOError:
        return 0
    finally:
        os.close(descriptor)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be asked to forget files")
def test_files_are_forgotten_or_it_says_that_they_are_not(tmp_path):
    file = tmp_path / "shard"
    file.write_bytes(os.urandom(1 << 20))
    assert cached_bytes(file) == 1 << 20
    refusal = drop_from_memory([file])
    assert refusal in ("", "1 of 1 files stay in memory") or refusal.startswith("the file system")
    looked_at = os.sysconf("SC_PAGE_SIZE")  # To look at a page is to ask for it.
    assert (cached_bytes(file) <= looked_at) == (refusal == "")


def test_a_system_that_cannot_forget_is_said_to(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    assert drop_from_memory([tmp_path]) == "only Linux can be asked to forget files"
