"""This project's own ways."""

from collections.abc import Iterator
from pathlib import Path

from alexnet_jax.data.pixels import DecodedRecords
from alexnet_jax.data.records import Records
from alexnet_jax.data.stream import TrainingBatches, read_ahead
from benchmarks.contestants import BATCH, SIZE, THREADS


def records(folder: Path) -> Iterator[int]:
    """Prepared records, decoded and scaled by the threads that training would have."""
    pixels = DecodedRecords(Records(folder / "data", "folder", "train"), SIZE)
    batches = TrainingBatches(pixels, BATCH, seed=0, steps=1 << 30)
    for batch in read_ahead(batches, 0, THREADS):
        yield len(batch["image"])
