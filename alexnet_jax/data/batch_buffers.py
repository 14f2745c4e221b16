"""Memory for batches that is used again, so that no batch pays for the first touch of its pages."""

import mmap
import weakref
from collections import deque

import numpy as np


class BatchBuffers:
    """Arrays of one shape, lent out; each comes back by itself when nobody refers to it any more.

    "Nobody" includes JAX: on a CPU it computes on the very memory that it is given, on other
    devices it holds on to it until the copy is done. So the memory of a batch in flight is never
    overwritten, however many batches are in flight, and as many buffers exist as are in use at
    once.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._bytes = int(np.prod(shape))
        self._free: deque[mmap.mmap] = deque()  # Its append and pop need no lock.

    def take(self) -> np.ndarray:
        """Return a buffer, uint8, whatever was in it last."""
        try:
            memory = self._free.pop()
        except IndexError:
            # Pages of its own: aligned as JAX needs it to compute in place.
            memory = mmap.mmap(-1, self._bytes)
        # NumPy's views refer to the first array over foreign memory, and to none in between: when
        # this one dies, every view of it is dead.
        flat = np.frombuffer(memory, np.uint8)
        weakref.finalize(flat, self._free.append, memory).atexit = False
        return flat.reshape(self._shape)
