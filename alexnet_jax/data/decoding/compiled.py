"""Loops compiled by Numba, for work on bytes that NumPy has no function for."""

from collections.abc import Callable

import numba


def compiled(function: Callable) -> Callable:
    """Compile at the first call, to run without the GIL.

    The machine code is cached in `__pycache__` or the user's cache directory, if one is writable.
    """
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # Numba found no place for a cache.
        return numba.njit(nogil=True)(function)
