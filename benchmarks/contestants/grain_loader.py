"""Grain's threads over image files, a whole batch as one element."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import grain
import numpy as np
import simplejpeg

from benchmarks.contestants import BATCH, SIZE, THREADS, image_files


class Batches:
    """Batches of random files."""

    def __init__(self, folder: Path) -> None:
        self.files = image_files(folder)

    def __len__(self) -> int:
        return 1 << 30

    def __getitem__(self, number: int) -> np.ndarray:
        batch = np.empty((BATCH, SIZE, SIZE, 3), np.uint8)
        chosen = np.random.default_rng(number).integers(len(self.files), size=BATCH)
        for row, index in zip(batch, chosen, strict=True):
            pixels = simplejpeg.decode_jpeg(self.files[index].read_bytes())
            height, width = pixels.shape[:2]
            side = min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
            square = pixels[top : top + side, left : left + side]
            cv2.resize(square, (SIZE, SIZE), dst=row, interpolation=cv2.INTER_AREA)
        return batch


def cv2_area(folder: Path) -> Iterator[int]:
    """Decode with simplejpeg, scale the center square with INTER_AREA."""
    cv2.setNumThreads(0)
    options = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=2 * THREADS)
    for batch in grain.MapDataset.source(Batches(folder)).to_iter_dataset(options):
        yield len(batch)
