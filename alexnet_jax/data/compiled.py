"""Loops that Numba compiles: for work on bytes that NumPy has no call for."""

from collections.abc import Callable

import numba


def compiled(function: Callable) -> Callable:
    """Compile at the first call, to run without Python's lock.

    The machine code is kept in `__pycache__` or the user's cache directory; where neither can be
    written, each process compiles for itself, for less than a second.
    """
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # Numba's word for: no place for a cache.
        return numba.njit(nogil=True)(function)
