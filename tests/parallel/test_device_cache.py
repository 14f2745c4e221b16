import jax
import numpy as np
import pytest

from alexnet_jax.data.stream import EvaluationBatches, TrainingBatches
from alexnet_jax.errors import UserError
from alexnet_jax.parallel import device_cache
from alexnet_jax.parallel.device_cache import DeviceCache
from alexnet_jax.parallel.mesh import make_data_mesh
from alexnet_jax.parallel.prefetch import prefetch_to_device

COUNT, SIZE = 2_500, 6


class HostPixels:
    """Random images; more of them than are sent at once."""

    directory, num_classes, class_names, image_size = None, 7, [], SIZE
    fingerprint = None
    images = np.random.default_rng(0).integers(0, 256, (COUNT, SIZE, SIZE, 3), dtype=np.uint8)
    labels = np.random.default_rng(1).integers(0, 7, COUNT, dtype=np.int32)

    def __len__(self):
        return COUNT

    def read_into(self, indices, images, labels):
        images[:], labels[:] = self.images[indices], self.labels[indices]


@pytest.fixture(scope="module")
def mesh():
    return make_data_mesh()


@pytest.fixture(scope="module")
def on_devices(mesh):
    return DeviceCache(HostPixels(), mesh)


def assert_same_feed(mesh, one, other, start=0):
    batches = list(prefetch_to_device(one, start, 2, mesh))
    others = list(prefetch_to_device(other, start, 2, mesh))
    assert len(batches) == len(others) == len(one) - start
    for mine, theirs in zip(batches, others, strict=True):
        assert mine.keys() == theirs.keys() == {"image", "label", "mask"}
        for name in mine:
            assert mine[name].dtype == theirs[name].dtype
            assert mine[name].sharding == theirs[name].sharding
            np.testing.assert_array_equal(mine[name], theirs[name])


@pytest.mark.parametrize("start", [0, 67])
def test_training_batches_are_those_that_the_host_would_send(mesh, on_devices, start):
    make = lambda pixels: TrainingBatches(pixels, batch_size=64, seed=3, steps=80)  # noqa: E731
    assert_same_feed(mesh, make(on_devices), make(HostPixels()), start)


def test_evaluation_is_padded_and_masked_as_on_the_host(mesh, on_devices):
    make = lambda pixels: EvaluationBatches(pixels, batch_size=64)  # noqa: E731
    assert_same_feed(mesh, make(on_devices), make(HostPixels()))


def test_a_gather_is_compiled_once_and_moves_nothing_between_devices(mesh, on_devices):
    batches = TrainingBatches(on_devices, batch_size=64, seed=3, steps=70)
    gather = on_devices._gather
    before = gather._cache_size()
    list(on_devices.gather(batches, 0))
    assert gather._cache_size() - before <= 1
    indices = device_cache._replicate(np.zeros((64, 64), np.int32), mesh)
    program = gather.lower(on_devices._images, on_devices._labels, indices, 0).compile().as_text()
    assert not {"all-gather", "all-reduce", "all-to-all", "collective"} & set(program.split())
    assert not any(word in program for word in ("all-gather", "all-reduce", "all-to-all"))


def test_pixels_that_do_not_fit_are_refused_with_the_numbers(mesh, monkeypatch):
    monkeypatch.setattr(device_cache, "_available_memory", lambda: 4 * 100_000)
    message = r"2,500 images of 6 pixels are 0.00 GB, .* 4 CPU devices, has 0.00 GB free; .*=store"
    with pytest.raises(UserError, match=message):
        DeviceCache(HostPixels(), mesh)


def test_the_memory_of_this_machine_is_known():
    assert 2**28 < device_cache._available_memory() < 2**50


def test_the_store_lies_whole_on_every_device(on_devices, mesh):
    assert on_devices._images.sharding.is_fully_replicated
    assert len(on_devices._images.addressable_shards) == len(jax.devices())
