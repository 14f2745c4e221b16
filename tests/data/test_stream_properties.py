from contextlib import closing
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alexnet_jax.data.stream import EvaluationBatches, TrainingBatches, read_and_send


class NumberedPixels:
    """Images of one pixel, each its own number."""

    directory = Path()
    num_classes = 1
    class_names = ("",)
    image_size = 1

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def read_into(self, indices, images, labels):
        images[:] = np.asarray(indices, np.uint8).reshape(-1, 1, 1, 1)
        labels[:] = indices


COUNTS, BATCHES, SEEDS = st.integers(1, 60), st.integers(1, 24), st.integers(0, 2**32 - 1)


def numbers(batches, start, rows):
    with closing(read_and_send(batches, start, 2, lambda b: b, rows)) as read:
        return [(batch["label"].copy(), batch["mask"].copy()) for batch in read]


@given(COUNTS, BATCHES, SEEDS, st.integers(1, 4))
def test_every_example_comes_once_in_every_epoch(count, batch, seed, epochs):
    steps = -(-epochs * count // batch)
    batches = TrainingBatches(NumberedPixels(count), batch, seed, steps)
    stream = np.concatenate([batches.indices(step) for step in range(steps)])
    for epoch in range(epochs):
        assert sorted(stream[epoch * count : (epoch + 1) * count]) == list(range(count))


@given(COUNTS, st.integers(1, 6), st.integers(1, 4), SEEDS, st.integers(0, 5))
def test_hosts_read_slices_of_the_global_batch_from_any_step_on(count, rows, hosts, seed, start):
    batches = TrainingBatches(NumberedPixels(count), rows * hosts, seed, start + 2)
    everywhere = [
        numbers(batches, start, np.arange(host * rows, (host + 1) * rows)) for host in range(hosts)
    ]
    for step in (start, start + 1):
        labels = np.concatenate([host[step - start][0] for host in everywhere])
        np.testing.assert_array_equal(labels, batches.indices(step))


@given(COUNTS, st.integers(1, 6), st.integers(1, 4))
def test_an_evaluation_counts_every_example_once_over_the_hosts(count, rows, hosts):
    batches = EvaluationBatches(NumberedPixels(count), rows * hosts)
    seen = [
        label
        for host in range(hosts)
        for labels, mask in numbers(batches, 0, np.arange(host * rows, (host + 1) * rows))
        for label in labels[mask]
    ]
    assert sorted(seen) == list(range(count))
