"""FFCV with raw pixels; needs an environment of its own: pip install ffcv, and Debian's OpenCV."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ffcv.fields import IntField, RGBImageField
from ffcv.fields.decoders import IntDecoder, SimpleRGBImageDecoder
from ffcv.loader import Loader, OrderOption
from ffcv.writer import DatasetWriter

from benchmarks.contestants import BATCH, THREADS

_EPOCHS_IN_ONE = 8  # So that what FFCV does at the beginning of an epoch seldom comes.


class _Rows:
    """The images of the pixel store, several times over."""

    def __init__(self, shards: list[Path]) -> None:
        self._images = np.concatenate([np.load(path, mmap_mode="r") for path in shards])

    def __len__(self) -> int:
        return len(self._images) * _EPOCHS_IN_ONE

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self._images[index % len(self._images)], 0


def whole_images(folder: Path) -> Iterator[int]:
    """Copy whole images into batches, in random order, and leave crops to the device, as we do."""
    path = folder / "pixels.beton"
    if not path.exists():
        rows = _Rows(sorted(folder.glob("data/folder/*/pixels_256/train-0*.npy")))
        fields = {"image": RGBImageField(write_mode="raw"), "label": IntField()}
        DatasetWriter(str(path), fields, num_workers=THREADS).from_indexed_dataset(rows)
    loader = Loader(
        str(path),
        batch_size=BATCH,
        num_workers=THREADS,
        order=OrderOption.RANDOM,
        os_cache=True,
        drop_last=True,
        pipelines={"image": [SimpleRGBImageDecoder()], "label": [IntDecoder()]},
    )
    while True:
        for images, _ in loader:
            yield len(images)
