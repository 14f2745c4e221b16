"""How fast the host makes batches: reading, decoding, and both as training does them."""

import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, cast

import numpy as np

from alexnet_jax.data.bounded_map import bounded_map
from alexnet_jax.data.images import read_image
from alexnet_jax.data.records import Records
from alexnet_jax.data.stream import TrainingBatches, read_ahead
from alexnet_jax.diagnosis.page_cache import drop_from_memory
from alexnet_jax.diagnosis.timing import Outcome, Skipped, Speed

_SAMPLE_BYTES = 512 * 2**20  # Of a large data set, so much is made cold; all others stay as found.
_EXAMPLES_PER_READ = 16


def record_files(records: Records) -> list[Path]:
    """Return the files of the training split, in the order of the examples."""
    return sorted(records.directory.glob("*-train.array_record-*"))


def reading_speeds(
    records: Records, batch_size: int, threads: int, seconds: float
) -> tuple[Outcome, Outcome]:
    """Read examples in random order, as files, without decoding them.

    Returns:
        From a cold cache and, the same examples, from a warm one; `seconds` each.
    """
    files = record_files(records)
    sizes = [file.stat().st_size for file in files]
    part = min(1.0, _SAMPLE_BYTES / sum(sizes))
    examples = max(1, int(len(records) * part))
    # The examples lie in the first files, to within the shards' differences in size.
    count = int(np.searchsorted(np.cumsum(sizes), sum(sizes) * part)) + 2
    order = np.random.default_rng(0).permutation(examples)
    groups = np.array_split(order, -(-examples // _EXAMPLES_PER_READ))
    refusal = drop_from_memory(files[:count])
    first, read = _read(records, groups, threads, seconds, batch_size)
    if refusal:  # They are warm only now that they have been read.
        return Skipped(refusal), _read(records, groups[:read], threads, seconds, batch_size)[0]
    warm, _ = _read(records, groups[:read], threads, seconds, batch_size)
    return first, warm


def decoding_speed(
    records: Records, image_size: int, batch_size: int, threads: int, seconds: float
) -> Speed:
    """Decode a few hundred images that are in memory, on all threads, again and again."""
    count = min(len(records), 16 * _EXAMPLES_PER_READ)
    files = [example["image"] for example in records.read(range(count))]
    groups = [files[i : i + _EXAMPLES_PER_READ] for i in range(0, count, _EXAMPLES_PER_READ)]
    images, elapsed = 0, 0.0
    start = time.perf_counter()
    with _closing(bounded_map(partial(_decode, size=image_size), cycle(groups), threads)) as counts:
        for decoded in counts:
            images, elapsed = images + decoded, time.perf_counter() - start
            if elapsed > seconds:
                break
    return _speed(images, elapsed, batch_size)


def batches_speed(batches: TrainingBatches, threads: int, seconds: float) -> Outcome:
    """Make training's batches as training does; timed from the first one on."""
    made, elapsed = 0, 0.0
    with _closing(read_ahead(batches, 0, threads)) as iterator:
        next(iterator)
        start = time.perf_counter()
        for _ in iterator:
            made, elapsed = made + 1, time.perf_counter() - start
            if elapsed > seconds:
                break
    if not made:
        return Skipped("the run is one step long")
    return _speed(made * batches.batch_size, elapsed, batches.batch_size)


def _read(
    records: Records, groups: list[np.ndarray], threads: int, seconds: float, batch_size: int
) -> tuple[Speed, int]:
    """Read groups of examples until they or the time are over; also say how many groups."""
    images, size, done, elapsed = 0, 0, 0, 0.0
    start = time.perf_counter()
    with _closing(bounded_map(records.read, groups, threads)) as results:
        for examples in results:
            images += len(examples)
            size += sum(len(example["image"]) for example in examples)
            done, elapsed = done + 1, time.perf_counter() - start
            if elapsed > seconds:
                break
    return _speed(images, elapsed, batch_size, size / elapsed), done


def _decode(files: list[bytes], size: int) -> int:
    for file in files:
        read_image(file, size)
    return len(files)


def _speed(
    images: int, seconds: float, batch_size: int, bytes_per_second: float | None = None
) -> Speed:
    rate = images / seconds
    return Speed(rate, batch_size / rate, max(1, images // batch_size), bytes_per_second)


def _closing(iterator: Iterator) -> closing[Any]:
    """Stop the threads behind an iterator, which go on otherwise, under the next measurement."""
    return closing(cast(Any, iterator))
