"""Batches as pure functions of (seed, step), read ahead by threads.

Stream position p = step·B + j is example permutation(seed, epoch)(p mod N) of epoch p // N.
There is no other state, so a run resumes at any step by reading from that step.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import lru_cache
from typing import TypeVar

import grain
import numpy as np

from alexnet_jax.data.decoding.reused_memory import BatchBuffers
from alexnet_jax.data.image_source import ImageSource
from alexnet_jax.data.permutation import permute

# What the host sends to the devices: "image" uint8 [B, S, S, 3], RGB; "label" int32 [B];
# "mask" bool [B], False for padding. In a cluster each host has only its own rows.
Batch = dict[str, np.ndarray]
Sent = TypeVar("Sent")

_AHEAD = 4  # Batches in progress: enough to hide a slow one, for any number of cores.
_STEPS_AT_ONCE = 16  # Their order is computed together, at the cost of one.
_FEWEST_ROWS = 8  # The smallest part of a batch for a thread; less would cost more than it gains.


class TrainingBatches:
    """Batches for all steps: each epoch holds each example once, in its own order."""

    def __init__(self, pixels: ImageSource, batch_size: int, seed: int, steps: int) -> None:
        self.pixels = pixels
        self.batch_size = batch_size
        self._seed = seed
        self._steps = steps
        self._cached_group = lru_cache(2)(self._compute_group)

    def __len__(self) -> int:
        return self._steps

    def indices(self, step: int) -> np.ndarray:
        """Return the examples of batch `step`, int64 [B]."""
        group, row = divmod(step, _STEPS_AT_ONCE)
        return self._cached_group(group)[row]

    def _compute_group(self, group: int) -> np.ndarray:
        length, count = len(self.pixels), _STEPS_AT_ONCE * self.batch_size
        epochs, positions = np.divmod(np.arange(group * count, (group + 1) * count), length)
        parts = [
            permute(positions[epochs == epoch], length, self._seed, int(epoch))
            for epoch in np.unique(epochs)
        ]
        return np.concatenate(parts).reshape(_STEPS_AT_ONCE, self.batch_size)


class EvaluationBatches:
    """Every example once, in order; masked zeros pad the last batch."""

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


Batches = TrainingBatches | EvaluationBatches


def read_ahead(batches: Batches, start: int, threads: int) -> Iterator[Batch]:
    """Yield batches from number `start`, while `threads` prepare the next ones."""
    return read_and_send(batches, start, threads, lambda batch: batch)


def read_and_send(
    batches: Batches,
    start: int,
    threads: int,
    send: Callable[[Batch], Sent],
    rows: np.ndarray | None = None,
) -> Iterator[Sent]:
    """Yield `send(batch)` for batches from number `start`, while threads prepare the next ones.

    Decoding and copying release the GIL, so threads scale like processes without their cost. The
    memory of a batch is reused when nothing refers to its arrays.

    Args:
        batches: Batches for training or evaluation.
        start: Number of the first batch.
        threads: Number of threads that read rows; all of them share each batch.
        send: Function applied to each batch, in other threads.
        rows: Rows of each batch to read, ascending; None reads all.
    """
    rows = np.arange(batches.batch_size) if rows is None else rows
    piece = max(_FEWEST_ROWS, -(-len(rows) // (2 * threads)))
    size = batches.pixels.image_size
    buffers = BatchBuffers((len(rows), size, size, 3))
    pool = ThreadPoolExecutor(threads, "read-rows")

    def read(number: int) -> Sent:
        whole = batches.indices(number)
        mask = rows < len(whole)
        indices = whole[rows[mask]]
        images, labels = buffers.take(), np.zeros(len(mask), np.int32)

        def fill(first: int) -> None:
            part = slice(first, min(first + piece, len(indices)))
            batches.pixels.read_into(indices[part], images[part], labels[part])

        list(pool.map(fill, range(0, len(indices), piece)))  # Also raises what a thread raised.
        images[len(indices) :] = 0
        return send({"image": images, "label": labels, "mask": mask})

    options = grain.ReadOptions(num_threads=_AHEAD, prefetch_buffer_size=_AHEAD)
    dataset = grain.MapDataset.range(start, len(batches)).map(read).to_iter_dataset(options)
    try:
        with closing(iter(dataset)) as iterator:
            yield from iterator
    finally:
        pool.shutdown(cancel_futures=True)
