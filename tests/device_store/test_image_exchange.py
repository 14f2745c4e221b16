from types import SimpleNamespace

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from alexnet_jax.device_store.image_exchange import Placement, plan_exchange, split_over_all
from alexnet_jax.errors import UserError
from alexnet_jax.parallel.mesh import make_mesh, split_over_data

COUNT = 37  # No multiple of the devices.


@pytest.fixture(params=[("data", None), ("hybrid", 2), ("columns", 2), ("fsdp", 4)])
def mesh(request):
    return make_mesh(*request.param)


def test_every_image_has_a_place_of_its_own(mesh):
    placement = Placement(COUNT, mesh)
    devices, rows = placement.find(np.arange(COUNT))
    assert len(set(zip(devices.tolist(), rows.tolist(), strict=True))) == COUNT
    assert rows.max() < placement.rows == 10
    assert (placement.first, placement.last) == (0, COUNT)


def test_the_store_is_divided_over_all_devices(mesh):
    assert split_over_all(mesh).spec == P(mesh.axis_names)
    assert split_over_all(mesh).shard_shape((8,)) == (2,)


def test_each_device_takes_the_rows_of_its_part_of_the_batch(mesh):
    indices = np.random.default_rng(0).integers(0, COUNT + 3, (5, 16))  # Some are padding.
    plan = plan_exchange(indices, COUNT, mesh)
    owners, rows = Placement(COUNT, mesh).find(np.arange(COUNT))
    image_at = {
        place: n for n, place in enumerate(zip(owners.tolist(), rows.tolist(), strict=True))
    }
    slots, parts = plan.send.shape[-1], split_over_data(mesh).devices_indices_map((16,))
    for batch in range(5):
        for destination, device in enumerate(mesh.devices.flat):
            for wanted, taken in zip(
                indices[batch][parts[device]], plan.take[batch, destination], strict=True
            ):
                if wanted >= COUNT:
                    assert taken == mesh.size * slots
                    continue
                owner, slot = divmod(int(taken), slots)
                row = int(plan.send[batch, owner, destination, slot])
                assert image_at[owner, row] == wanted


def test_consecutive_images_need_the_fewest_slots():
    mesh = make_mesh()
    plan = plan_exchange(np.arange(32).reshape(1, 32), 64, mesh)
    assert plan.send.shape == (1, 4, 4, 32 // len(jax.devices()) // 4)


def test_processes_with_unequal_devices_are_refused():
    devices = np.array([SimpleNamespace(process_index=number) for number in (0, 0, 0, 1)])
    with pytest.raises(UserError, match="on all processes, which have 3, 1; give .*=store"):
        Placement(COUNT, SimpleNamespace(devices=devices, size=4))
