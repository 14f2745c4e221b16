import numpy as np
import pytest

from alexnet_jax.data.permutation import permute


@pytest.mark.parametrize("length", [1, 2, 3, 10, 97, 5000, 65_537])
def test_every_index_appears_once(length):
    indices = permute(np.arange(length), length, seed=0, epoch=0)
    np.testing.assert_array_equal(np.sort(indices), np.arange(length))


def test_indices_are_int64():
    assert permute(np.arange(3), 3, seed=0, epoch=0).dtype == np.int64


def test_any_part_can_be_asked_for_alone():
    whole = permute(np.arange(5000), 5000, seed=3, epoch=7)
    np.testing.assert_array_equal(permute(np.array([17, 4999]), 5000, 3, 7), whole[[17, 4999]])


@pytest.mark.parametrize("other", [{"seed": 1, "epoch": 0}, {"seed": 0, "epoch": 1}])
def test_seed_and_epoch_change_the_order(other):
    positions = np.arange(1000)
    same_place = permute(positions, 1000, 0, 0) == permute(positions, 1000, **other)
    assert same_place.sum() < 12, "two random orders agree in about one place"


def test_neighbours_are_scattered():
    indices = permute(np.arange(10_000), 10_000, seed=0, epoch=0)
    # Of a random order: mean distance N/3, correlation of position and index 0 ± 0.01.
    assert abs(np.abs(np.diff(indices)).mean() / (10_000 / 3) - 1) < 0.03
    assert abs(np.corrcoef(np.arange(10_000), indices)[0, 1]) < 0.04


def test_the_order_never_changes():
    """A run continued after an upgrade must see the same batches."""
    indices = permute(np.arange(8), 1_281_167, seed=0, epoch=0)
    np.testing.assert_array_equal(
        indices, [518525, 479144, 412929, 1107573, 183629, 52735, 796121, 209780]
    )
