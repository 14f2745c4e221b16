"""Working arrays that a thread keeps from image to image.

An array of this size given back to the system costs, when asked for again, a page fault for every
4 KiB: some 350 for each image, more time than its scaling takes.
"""

import math
import threading

import numpy as np

_KEPT_BYTES = 16 << 20  # Larger arrays are rare, and too much to keep in every thread.


class ThreadMemory(threading.local):
    """Arrays by name, of any shape: each thread that asks has its own."""

    def __init__(self) -> None:
        self._kept: dict[str, np.ndarray] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
        """Return an array with any content; it overwrites the last one of this name."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size > _KEPT_BYTES:
            return np.empty(shape, dtype)
        if name not in self._kept or self._kept[name].nbytes < size:
            self._kept[name] = np.empty(size, np.uint8)
        return self._kept[name][:size].view(dtype).reshape(shape)
