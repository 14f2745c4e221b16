"""Batches as pure functions of (seed, step), read ahead of time by threads.

Stream position p = step·B + j is example permutation(seed, epoch)(p mod N) of epoch p // N.
Nothing else is remembered, so a run continues at any step by asking for that step.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import lru_cache
from typing import Generic, Protocol, TypeVar

import grain
import numpy as np

from alexnet_jax.data.batch_buffers import BatchBuffers
from alexnet_jax.data.image_source import ImageSource
from alexnet_jax.data.permutation import permute

# What the host hands to the devices: "image" uint8 [B, S, S, 3], RGB; "label" int32 [B];
# "mask" bool [B], False for padding. In a cluster each host has its rows only.
Batch = dict[str, np.ndarray]
Sent = TypeVar("Sent")

_AHEAD = 4  # Batches in the making: enough to ride over a slow one, whatever the number of cores.
_STEPS_AT_ONCE = 16  # Whose order is computed together.
_FEWEST_ROWS = 8  # A thread's piece of a batch; handing out less would cost more than it gains.


class Batches(Protocol):
    """Which examples each batch holds, and where their pixels come from."""

    pixels: ImageSource
    batch_size: int

    def __len__(self) -> int:
        """Return the number of batches."""

    def indices(self, number: int) -> np.ndarray:
        """Return the examples of a batch, int64 [B], fewer in an evaluation's last."""


class TrainingBatches:
    """Batch `step` for every step: each epoch holds each example once, in an order of its own."""

    def __init__(self, pixels: ImageSource, batch_size: int, seed: int, steps: int) -> None:
        self.pixels = pixels
        self.batch_size = batch_size
        self._seed = seed
        self._steps = steps
        self._remembered = lru_cache(2)(self._several)

    def __len__(self) -> int:
        return self._steps

    def indices(self, step: int) -> np.ndarray:
        """Return the examples of batch `step`, int64 [B]."""
        group, row = divmod(step, _STEPS_AT_ONCE)
        return self._remembered(group)[row]

    def _several(self, group: int) -> np.ndarray:
        """Compute the examples of a group of steps: as cheap as those of one."""
        length, count = len(self.pixels), _STEPS_AT_ONCE * self.batch_size
        positions = np.arange(group * count, (group + 1) * count)
        epochs = positions // length
        indices = np.concatenate(
            [
                permute(positions[epochs == epoch] % length, length, self._seed, int(epoch))
                for epoch in np.unique(epochs)
            ]
        )
        return indices.reshape(_STEPS_AT_ONCE, self.batch_size)


class EvaluationBatches:
    """Every example once, in order; the last batch is filled up with masked zeros."""

    def __init__(self, pixels: ImageSource, batch_size: int) -> None:
        self.count = len(pixels)
        self.pixels = pixels
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-self.count // self.batch_size)

    def indices(self, number: int) -> np.ndarray:
        """Return the examples of batch `number`, int64 [B] or fewer."""
        first = number * self.batch_size
        return np.arange(first, min(first + self.batch_size, self.count))


def read_ahead(batches: Batches, start: int, threads: int) -> Iterator[Batch]:
    """Yield batches from number `start` on, while threads prepare the next ones.

    Decoding and copying release Python's lock, so threads scale like processes without their
    cost. The memory of a batch is used again once nobody refers to its arrays any more.

    Args:
        batches: of training or evaluation.
        start: number of the first.
        threads: how many work at the rows.
    """
    return read_and_send(batches, start, threads, lambda batch: batch)


def read_and_send(
    batches: Batches,
    start: int,
    threads: int,
    send: Callable[[Batch], Sent],
    rows: np.ndarray | None = None,
) -> Iterator[Sent]:
    """Do as `read_ahead`, and let threads `send` the batches too; yield what that returns.

    Args:
        batches: of training or evaluation.
        start: number of the first.
        threads: how many work at the rows.
        send: takes each batch.
        rows: those of every batch to read, ascending; None for all.
    """
    rows = np.arange(batches.batch_size) if rows is None else rows
    pool = ThreadPoolExecutor(threads, "read-rows")
    reader = _Reader(batches, pool, threads, send, rows)
    options = grain.ReadOptions(num_threads=_AHEAD, prefetch_buffer_size=_AHEAD)
    dataset = grain.MapDataset.source(reader)[start:].to_iter_dataset(options)
    try:
        with closing(iter(dataset)) as iterator:
            yield from iterator
    finally:
        pool.shutdown(cancel_futures=True)


class _Reader(Generic[Sent]):
    """A batch by its number, as Grain asks for it, each filled by all the threads together."""

    def __init__(
        self,
        batches: Batches,
        pool: ThreadPoolExecutor,
        threads: int,
        send: Callable[[Batch], Sent],
        rows: np.ndarray,
    ) -> None:
        self._batches = batches
        self._pool = pool
        self._rows = rows
        self._piece = max(_FEWEST_ROWS, -(-len(rows) // (2 * threads)))
        self._send = send
        size = batches.pixels.image_size
        self._buffers = BatchBuffers((len(rows), size, size, 3))

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, number: int) -> Sent:
        whole = self._batches.indices(number)
        mask = self._rows < len(whole)
        indices = whole[self._rows[mask]]
        images, labels = self._buffers.take(), np.zeros(len(mask), np.int32)

        def fill(first: int) -> None:
            rows = slice(first, min(first + self._piece, len(indices)))
            self._batches.pixels.read_into(indices[rows], images[rows], labels[rows])

        # Asking for every result raises what a thread raised.
        for _ in self._pool.map(fill, range(0, len(indices), self._piece)):
            pass
        images[len(indices) :] = 0
        return self._send({"image": images, "label": labels, "mask": mask})
