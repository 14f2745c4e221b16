import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alexnet_jax.data.permutation import permute

LENGTHS = st.integers(1, 2000)
SEEDS = st.integers(0, 2**32 - 1)
EPOCHS = st.integers(0, 10**6)


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
