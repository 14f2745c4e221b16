from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np

from alexnet_jax.data.decoding.reused_memory import BatchBuffers, thread_array
from alexnet_jax.parallel.mesh import make_data_mesh, to_devices

SHAPE = (64, 32, 32, 3)


def place(array):
    return array.ctypes.data


def test_memory_comes_back_when_its_array_is_gone():
    buffers = BatchBuffers(SHAPE)
    first = buffers.take()
    where = place(first)
    del first
    assert place(buffers.take()) == where


def test_memory_stays_lent_while_a_view_of_it_lives():
    buffers = BatchBuffers(SHAPE)
    first = buffers.take()
    view = first[3:5].reshape(2, -1)[1]
    where = place(first)
    del first
    assert place(buffers.take()) != where
    del view
    assert place(buffers.take()) == where


def test_what_jax_computes_on_is_never_lent_again():
    """On CPUs a device array may be the very memory of the batch."""
    buffers, mesh = BatchBuffers(SHAPE), make_data_mesh()
    double = jax.jit(lambda images: images * 2)
    sent, doubled = [], []
    for number in range(40):
        images = buffers.take()
        images[:] = number
        sent.append(to_devices({"image": images}, mesh)["image"])
        doubled.append(double(sent[-1]))
        if number % 3 == 0:
            del sent[0], images
    for number, result in enumerate(doubled):
        np.testing.assert_array_equal(result, np.full(SHAPE, 2 * number))
    for images in sent:
        assert len(np.unique(np.asarray(images))) == 1


def test_a_name_keeps_its_memory_in_any_shape():
    large = thread_array("kept", (100, 40), np.uint32)
    small = thread_array("kept", (7, 5, 4), np.uint8)
    assert np.shares_memory(large, small)
    assert (small.shape, small.dtype) == ((7, 5, 4), np.uint8)


def test_names_and_threads_have_memory_of_their_own():
    def arrays(name):
        return thread_array(name, (50,), np.uint8)

    first = arrays("kept")
    assert not np.shares_memory(first, arrays("other"))
    with ThreadPoolExecutor(1) as pool:
        assert not np.shares_memory(first, pool.submit(arrays, "kept").result())


def test_huge_arrays_are_not_kept():
    shape = (17, 1 << 20)
    assert not np.shares_memory(
        thread_array("huge", shape, np.uint8), thread_array("huge", shape, np.uint8)
    )
