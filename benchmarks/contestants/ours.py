"""This project's own ways."""

from collections.abc import Iterator
from pathlib import Path

from alexnet_jax.data.image_source import DecodedImages, ImageSource
from alexnet_jax.data.pixel_store.reading import PixelStore
from alexnet_jax.data.records import Records
from alexnet_jax.data.stream import TrainingBatches, read_ahead
from benchmarks.contestants import BATCH, SIZE, THREADS


def records(folder: Path) -> Iterator[int]:
    """Prepared records, decoded and scaled by the threads that training would have."""
    return _batches(DecodedImages(Records(folder / "data", "folder", "train"), SIZE))


def store(folder: Path) -> Iterator[int]:
    """Rows of the pixel store, copied by the threads that training would have."""
    return _batches(PixelStore(folder / "data", "folder", "train", SIZE))


def _batches(pixels: ImageSource) -> Iterator[int]:
    batches = TrainingBatches(pixels, BATCH, seed=0, steps=1 << 30)
    for batch in read_ahead(batches, 0, THREADS):
        yield len(batch["image"])
