import numpy as np
import pytest

from alexnet_jax.errors import UserError
from alexnet_jax.parallel.mesh import check_batch_divides, make_data_mesh, to_devices


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
