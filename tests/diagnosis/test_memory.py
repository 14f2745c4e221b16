import mmap

import pytest

from alexnet_jax.diagnosis.memory import check_step_fits, read_memory
from alexnet_jax.errors import UserError


def test_what_a_process_touches_becomes_resident():
    before = read_memory(0, None)
    with mmap.mmap(-1, 50_000_000) as memory:  # Fresh pages, not some that were freed before.
        memory.write(b"1" * len(memory))
        after = read_memory(0, None)
    assert after["host_resident"] - before["host_resident"] > 45_000_000
    assert after["host_peak"] >= after["host_resident"]
    assert after["host_total"] > after["host_peak"]


def test_where_devices_do_not_say_the_compilers_account_is_told(tmp_path):
    memory = read_memory(123, tmp_path)
    assert (memory["device_peak"], memory["device_peak_measured"]) == (123, False)
    assert memory["disk_free"] > 0


def test_a_step_larger_than_the_device_names_the_way_out():
    check_step_fits(8_000_000_000, 8_000_000_000, 1024)
    check_step_fits(9_000_000_000, None, 1024)
    with pytest.raises(UserError, match="1024 images needs 9.0 GB .*microbatch_size=512"):
        check_step_fits(9_000_000_000, 8_000_000_000, 1024)
