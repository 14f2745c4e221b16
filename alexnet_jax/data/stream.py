"""Batches as pure functions of (seed, step), read ahead of time by threads.

Stream position p = step·B + j is example permutation(seed, epoch)(p mod N) of epoch p // N.
Nothing else is remembered, so a run continues at any step by asking for that step.
"""

from collections.abc import Iterator, Sequence

import grain
import numpy as np

from alexnet_jax.data.images import read_image
from alexnet_jax.data.permutation import permute
from alexnet_jax.data.records import Records

# What the host hands to the devices: "image" uint8 [B, S, S, 3], RGB; "label" int32 [B];
# "mask" bool [B], False for padding. In a cluster each host has its rows only.
Batch = dict[str, np.ndarray]


class TrainingBatches:
    """Batch `step` for every step: each epoch holds each example once, in an order of its own.

    Args:
        records: the examples.
        batch_size: of the whole batch.
        image_size: side of the images.
        seed: of the order.
        steps: how many batches there are.
        rows: those of each batch to read; None for all.
    """

    def __init__(
        self,
        records: Records,
        batch_size: int,
        image_size: int,
        seed: int,
        steps: int,
        rows: np.ndarray | None = None,
    ) -> None:
        self.batch_size = batch_size
        self._records = records
        self._image_size = image_size
        self._seed = seed
        self._steps = steps
        self._rows = np.arange(batch_size) if rows is None else rows

    def __len__(self) -> int:
        return self._steps

    def indices(self, step: int) -> np.ndarray:
        """Return the examples of the whole batch `step`, int64 [B]."""
        length = len(self._records)
        positions = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        epochs = positions // length
        return np.concatenate(
            [
                permute(positions[epochs == epoch] % length, length, self._seed, int(epoch))
                for epoch in np.unique(epochs)
            ]
        )

    def __getitem__(self, step: int) -> Batch:
        indices = self.indices(step)[self._rows]
        return _read_batch(self._records, indices, len(indices), self._image_size)


class EvaluationBatches:
    """Every example once, in order; the last batch is filled up with masked zeros.

    Args:
        records: the examples.
        batch_size: of the whole batch.
        image_size: side of the images.
        rows: those of each batch to read; None for all.
    """

    def __init__(
        self, records: Records, batch_size: int, image_size: int, rows: np.ndarray | None = None
    ) -> None:
        self.count = len(records)
        self._records = records
        self._batch_size = batch_size
        self._image_size = image_size
        self._rows = np.arange(batch_size) if rows is None else rows

    def __len__(self) -> int:
        return -(-self.count // self._batch_size)

    def __getitem__(self, number: int) -> Batch:
        indices = number * self._batch_size + self._rows
        existing = indices[indices < self.count]
        return _read_batch(self._records, existing, len(indices), self._image_size)


def read_ahead(
    batches: TrainingBatches | EvaluationBatches, start: int, threads: int
) -> Iterator[Batch]:
    """Yield batches from number `start` on, while `threads` threads prepare the next ones.

    Decoding releases Python's lock, so threads scale like processes without their cost.
    """
    dataset = grain.MapDataset.source(batches)[start:]
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
    return iter(dataset.to_iter_dataset(options))


def _read_batch(
    records: Records, indices: Sequence[int] | np.ndarray, batch_size: int, image_size: int
) -> Batch:
    batch: Batch = {
        "image": np.zeros((batch_size, image_size, image_size, 3), np.uint8),
        "label": np.zeros(batch_size, np.int32),
        "mask": np.arange(batch_size) < len(indices),
    }
    for row, example in enumerate(records.read(indices)):
        batch["image"][row] = read_image(example["image"], image_size)
        batch["label"][row] = example["label"]
    return batch
