import jax
import numpy as np
import pytest

from alexnet_jax.data.stream import EvaluationBatches, TrainingBatches
from alexnet_jax.device_store import device_cache
from alexnet_jax.device_store.device_cache import DeviceCache
from alexnet_jax.device_store.image_exchange import bytes_sent, plan_exchange
from alexnet_jax.diagnosis.traffic import bytes_by_kind, read_transfers
from alexnet_jax.errors import UserError
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


def compiled_exchange(cache, mesh, batches):
    indices = np.stack([batches.indices(number) for number in range(64)])
    plan = plan_exchange(indices, COUNT, mesh)
    return plan, cache._exchange.lower(
        cache._images, cache._labels, *plan, np.int32(0)
    ).compile().as_text()


def test_few_exchanges_are_compiled_and_send_what_the_plan_says(mesh, on_devices):
    batches = TrainingBatches(on_devices, batch_size=64, seed=3, steps=200)
    before = on_devices._exchange._cache_size()
    list(on_devices.gather(batches, 0))
    assert on_devices._exchange._cache_size() - before <= 2
    plan, program = compiled_exchange(on_devices, mesh, batches)
    transfers = bytes_by_kind(read_transfers(program, mesh.size))
    assert transfers == {"all-to-all": bytes_sent(plan, SIZE)}


def test_one_device_exchanges_nothing():
    mesh = make_data_mesh(jax.devices()[:1])
    cache = DeviceCache(HostPixels(), mesh)
    make = lambda pixels: EvaluationBatches(pixels, batch_size=64)  # noqa: E731
    assert_same_feed(mesh, make(cache), make(HostPixels()))
    batches = TrainingBatches(cache, batch_size=64, seed=3, steps=64)
    plan, program = compiled_exchange(cache, mesh, batches)
    assert bytes_sent(plan, SIZE) == 0
    assert not any(word in program for word in ("all-gather", "all-reduce", "all-to-all"))


def test_pixels_that_do_not_fit_are_refused_with_the_numbers(mesh, monkeypatch):
    monkeypatch.setattr(device_cache, "_available_memory", lambda: 4 * 10_000)
    message = r"2,500 images of 6 pixels are 0.00 GB, 0.00 GB on each of 4 .* 4 CPU devices, .*"
    with pytest.raises(UserError, match=message + r"has 0.00 GB free; .*=store"):
        DeviceCache(HostPixels(), mesh)


def test_a_device_needs_memory_for_its_share_alone(mesh, monkeypatch):
    share = COUNT // 4 * (SIZE**2 * 3 + 4)
    monkeypatch.setattr(device_cache, "_available_memory", lambda: 4 * share)
    DeviceCache(HostPixels(), mesh)
    monkeypatch.setattr(device_cache, "_available_memory", lambda: 4 * (share - 1))
    with pytest.raises(UserError):
        DeviceCache(HostPixels(), mesh)


def test_the_memory_of_this_machine_is_known():
    assert 2**28 < device_cache._available_memory() < 2**50


def test_each_device_holds_its_share(mesh):
    share = COUNT * (SIZE**2 * 3 + 4) / mesh.size
    before = {id(array) for array in jax.live_arrays()}
    cache = DeviceCache(HostPixels(), mesh)
    held = dict.fromkeys(jax.devices(), 0)
    for array in jax.live_arrays():
        if id(array) not in before:
            for shard in array.addressable_shards:
                held[shard.device] += shard.data.nbytes
    assert len(cache) == COUNT
    assert all(abs(size - share) <= 0.05 * share for size in held.values())
