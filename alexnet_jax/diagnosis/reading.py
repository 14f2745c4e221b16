"""How fast the host makes batches: reading, decoding, and both as training does them."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np

from alexnet_jax.data.bounded_map import bounded_map
from alexnet_jax.data.image_source import DecodedImages, ImageSource
from alexnet_jax.data.records import Records
from alexnet_jax.data.reused_memory import BatchBuffers
from alexnet_jax.diagnosis.page_cache import drop_from_memory
from alexnet_jax.diagnosis.timing import Outcome, Skipped, Speed

_SAMPLE_BYTES = 512 * 2**20  # Of a large data set, so much is made cold; all others stay as found.
_EXAMPLES_PER_READ = 16

# Reads the examples at some indices; returns how many bytes they are.
Reader = Callable[[np.ndarray], int]


def record_reader(records: Records) -> Reader:
    """Return what reads encoded images, without decoding them."""

    def read(indices: np.ndarray) -> int:
        return sum(len(example["image"]) for example in records.read(indices))

    return read


def store_reader(store: ImageSource) -> Reader:
    """Return what reads pixels into memory that is used again and again, as batches are."""
    shape = (_EXAMPLES_PER_READ, store.image_size, store.image_size, 3)
    buffers = BatchBuffers(shape)

    def read(indices: np.ndarray) -> int:
        images = buffers.take()[: len(indices)]
        store.read_into(indices, images, np.empty(len(indices), np.int32))
        return images.nbytes

    return read


def reading_speeds(
    read: Reader,
    files: Sequence[Path],
    examples: int,
    batch_size: int,
    threads: int,
    seconds: float,
) -> tuple[Outcome, Outcome]:
    """Read examples in random order.

    Args:
        read: one of the above.
        files: where the examples lie, in their order.
        examples: how many there are.
        batch_size: of which the time is told.
        threads: how many read.
        seconds: for each of the two results.

    Returns:
        The speed from a cold cache and, of the same examples, from a warm one.
    """
    sizes = [file.stat().st_size for file in files]
    part = min(1.0, _SAMPLE_BYTES / sum(sizes))
    sample = max(1, int(examples * part))
    # The sample lies in the first files, to within the files' differences.
    count = int(np.searchsorted(np.cumsum(sizes), sum(sizes) * part)) + 2
    order = np.random.default_rng(0).permutation(sample)
    groups = [order[i : i + _EXAMPLES_PER_READ] for i in range(0, sample, _EXAMPLES_PER_READ)]
    refusal = drop_from_memory(files[:count])
    cold, read_groups = _read(read, groups, batch_size, threads, seconds)
    warm, _ = _read(read, groups[:read_groups], batch_size, threads, seconds)
    return Skipped(refusal) if refusal else cold, warm


def decoding_speed(pixels: DecodedImages, batch_size: int, threads: int, seconds: float) -> Speed:
    """Decode a few hundred images that are in memory, on all threads, again and again."""
    count = min(len(pixels), 16 * _EXAMPLES_PER_READ)
    read = list(enumerate(pixels.records.read(range(count))))
    groups = [read[i : i + _EXAMPLES_PER_READ] for i in range(0, count, _EXAMPLES_PER_READ)]
    images, elapsed = 0, 0.0
    start = time.perf_counter()
    decode = partial(_decode, pixels)
    with _closing(bounded_map(decode, cycle(groups), threads)) as counts:
        for decoded in counts:
            images, elapsed = images + decoded, time.perf_counter() - start
            if elapsed > seconds:
                break
    return _speed(images, elapsed, batch_size)


def batches_speed(batches: Iterator[Any], batch_size: int, seconds: float) -> Outcome:
    """Take batches, on the host or on devices, from one that makes them; close it at the end.

    The first one starts the clock.
    """
    made, elapsed = 0, 0.0
    with _closing(batches) as iterator:
        jax.block_until_ready(next(iterator))
        start = time.perf_counter()
        for batch in iterator:
            jax.block_until_ready(batch)
            made, elapsed = made + 1, time.perf_counter() - start
            if elapsed > seconds:
                break
    if not made:
        return Skipped("the run is one step long")
    return _speed(made * batch_size, elapsed, batch_size)


def _read(
    read: Reader, groups: list[np.ndarray], batch_size: int, threads: int, seconds: float
) -> tuple[Speed, int]:
    """Read groups of examples until they or the time are over; also say how many groups."""
    size, done, elapsed = 0, 0, 0.0
    start = time.perf_counter()
    with _closing(bounded_map(read, groups, threads)) as results:
        for read_bytes in results:
            size, done, elapsed = size + read_bytes, done + 1, time.perf_counter() - start
            if elapsed > seconds:
                break
    images = sum(len(group) for group in groups[:done])
    return _speed(images, elapsed, batch_size, size / elapsed), done


def _decode(pixels: DecodedImages, examples: list[tuple[int, dict[str, Any]]]) -> int:
    image = np.empty((pixels.image_size, pixels.image_size, 3), np.uint8)
    for index, example in examples:
        pixels.decode(index, example, image)
    return len(examples)


def _speed(
    images: int, seconds: float, batch_size: int, bytes_per_second: float | None = None
) -> Speed:
    rate = images / seconds
    return Speed(rate, batch_size / rate, max(1, images // batch_size), bytes_per_second)


def _closing(iterator: Iterator) -> closing[Any]:
    """Stop the threads behind an iterator, which go on otherwise, under the next measurement."""
    return closing(cast(Any, iterator))
