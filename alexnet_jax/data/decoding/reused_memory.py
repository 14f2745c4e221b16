"""Memory that is used again, because new pages cost a page fault for every 4 KiB."""

import math
import mmap
import threading
import weakref
from collections import deque

import numpy as np

_KEPT_BYTES = 16 << 20  # Larger arrays are rare, and too much to keep in every thread.
_threads = threading.local()


def thread_array(name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
    """Return an array with any content, in memory that this thread keeps under `name`.

    The next array of the same name and thread overwrites it.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size > _KEPT_BYTES:
        return np.empty(shape, dtype)
    memory = getattr(_threads, name, None)
    if memory is None or memory.nbytes < size:
        memory = np.empty(size, np.uint8)
        setattr(_threads, name, memory)
    return memory[:size].view(dtype).reshape(shape)


class BatchBuffers:
    """A pool of arrays of one shape; an array returns to it when nothing refers to it any more.

    References include JAX's: on CPUs it computes on the memory that it is given, on other devices
    it keeps the memory until the copy is done. So a batch in flight is never overwritten.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._free: deque[mmap.mmap] = deque()  # Its append and pop need no lock.

    def take(self) -> np.ndarray:
        """Return an array, uint8, with any content."""
        try:
            memory = self._free.pop()
        except IndexError:
            # Whole pages: aligned as JAX needs it to compute in place.
            memory = mmap.mmap(-1, math.prod(self._shape))
        # All views of an array over foreign memory refer to it directly: it is deleted last.
        flat = np.frombuffer(memory, np.uint8)
        weakref.finalize(flat, self._free.append, memory).atexit = False
        return flat.reshape(self._shape)
