"""Decoding alone: the limit of any loader that starts from JPEGs."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

import simplejpeg

from benchmarks.contestants import BATCH, THREADS, image_files


def simplejpeg_alone(folder: Path) -> Iterator[int]:
    """Decode in threads, from bytes in memory; the pixels are thrown away."""
    files = [path.read_bytes() for path in image_files(folder)]

    def decode(batch: list[bytes]) -> int:
        for data in batch:
            simplejpeg.decode_jpeg(data)
        return len(batch)

    with ThreadPoolExecutor(THREADS) as pool:
        pending = deque()
        remaining = cycle(files)
        while True:
            pending.append(pool.submit(decode, list(islice(remaining, BATCH))))
            if len(pending) > 2 * THREADS:
                yield pending.popleft().result()
