import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet_jax.data.permutation import permute

LENGTHS = st.integers(1, 2000)
SEEDS = st.integers(0, 2**32 - 1)
EPOCHS = st.integers(0, 10**6)


@pytest.mark.parametrize("length", [5000, 65_537])
def test_every_index_of_many_appears_once(length):
    indices = permute(np.arange(length), length, seed=0, epoch=0)
    np.testing.assert_array_equal(np.sort(indices), np.arange(length))


def test_indices_are_int64():
    assert permute(np.arange(3), 3, seed=0, epoch=0).dtype == np.int64


@given(LENGTHS, SEEDS, EPOCHS)
def test_every_example_comes_once_an_epoch(length, seed, epoch):
    order = permute(np.arange(length), length, seed, epoch)
    assert sorted(order.tolist()) == list(range(length))


@given(LENGTHS, SEEDS, EPOCHS, st.data())
def test_any_positions_can_be_asked_alone(length, seed, epoch, data):
    positions = data.draw(st.lists(st.integers(0, length - 1), min_size=1, max_size=20))
    order = permute(np.arange(length), length, seed, epoch)
    np.testing.assert_array_equal(
        permute(np.array(positions), length, seed, epoch), order[positions]
    )


@given(st.integers(100, 2000), SEEDS, EPOCHS)
def test_epochs_and_seeds_have_orders_of_their_own(length, seed, epoch):
    positions = np.arange(length)
    order = permute(positions, length, seed, epoch)
    for other in (
        permute(positions, length, seed, epoch + 1),
        permute(positions, length, seed ^ 1, epoch),
    ):
        # By chance one position in `length` stays: ten would be one epoch in millions.
        assert np.sum(order == other) < 10


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
