from concurrent.futures import ThreadPoolExecutor

import numpy as np

from alexnet_jax.data.thread_memory import ThreadMemory


def test_a_name_keeps_its_memory_in_any_shape():
    memory = ThreadMemory()
    large = memory.array("rows", (100, 40), np.uint32)
    small = memory.array("rows", (7, 5, 4), np.uint8)
    assert np.shares_memory(large, small)
    assert (small.shape, small.dtype) == ((7, 5, 4), np.uint8)


def test_names_and_threads_have_memory_of_their_own():
    memory = ThreadMemory()

    def arrays(name):
        return memory.array(name, (50,), np.uint8)

    first = arrays("rows")
    assert not np.shares_memory(first, arrays("sums"))
    with ThreadPoolExecutor(1) as pool:
        assert not np.shares_memory(first, pool.submit(arrays, "rows").result())


def test_huge_arrays_are_not_kept():
    memory = ThreadMemory()
    shape = (17, 1 << 20)
    assert not np.shares_memory(
        memory.array("rows", shape, np.uint8), memory.array("rows", shape, np.uint8)
    )
