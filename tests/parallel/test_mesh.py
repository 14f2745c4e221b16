import numpy as np
import pytest

from alexnet_jax.errors import UserError
from alexnet_jax.parallel.mesh import (
    check_batch_divides,
    make_data_mesh,
    make_mesh,
    rows_of_process,
    to_devices,
)


def test_a_batch_that_does_not_divide_names_the_nearest_that_do():
    with pytest.raises(UserError, match=r"batch_size=100 does not divide.*96 and 104 would"):
        check_batch_divides(100, 8, "config.train.batch_size")


def test_a_batch_smaller_than_the_devices_names_only_the_larger():
    with pytest.raises(UserError, match="over 8 devices; 8 would"):
        check_batch_divides(3, 8, "config.train.batch_size")


def test_each_device_holds_its_rows_of_a_batch():
    batch = to_devices({"label": np.arange(8)}, make_data_mesh())
    rows = [shard.data.tolist() for shard in batch["label"].addressable_shards]
    assert rows == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_a_second_axis_that_does_not_divide_the_devices_names_those_that_do():
    with pytest.raises(UserError, match="axis of 3 does not divide 4 devices.*can be 1, 2, 4"):
        make_mesh("hybrid", 3)


def test_an_unknown_layout_lists_the_known_ones():
    with pytest.raises(UserError, match="'pipeline'; the known ones: data, hybrid, columns, fsdp"):
        make_mesh("pipeline")


def test_the_data_layout_has_no_second_axis():
    with pytest.raises(UserError, match="no second axis for parallel.model_axis=2"):
        make_mesh("data", 2)


@pytest.mark.parametrize(
    ("layout", "model_axis", "shape"),
    [
        ("data", None, {"data": 4}),
        ("hybrid", None, {"data": 1, "model": 4}),
        ("hybrid", 2, {"data": 2, "model": 2}),
        ("columns", None, {"data": 2, "column": 2}),
        ("fsdp", None, {"data": 1, "shard": 4}),
    ],
)
def test_a_layout_names_the_axes_of_the_mesh(layout, model_axis, shape):
    assert dict(make_mesh(layout, model_axis).shape) == shape


def test_neighbouring_devices_share_the_second_axis():
    ids = [[device.id for device in row] for row in make_mesh("hybrid", 2).devices]
    assert ids == [[0, 1], [2, 3]]


def test_both_columns_hold_the_same_images():
    batch = to_devices({"label": np.arange(8)}, make_mesh("columns"))
    rows = [shard.data.tolist() for shard in batch["label"].addressable_shards]
    assert rows == [[0, 1, 2, 3], [0, 1, 2, 3], [4, 5, 6, 7], [4, 5, 6, 7]]


def test_one_process_has_all_rows_of_a_batch():
    assert rows_of_process(make_data_mesh(), 8).tolist() == list(range(8))
