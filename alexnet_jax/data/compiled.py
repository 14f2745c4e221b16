"""Loops that Numba compiles: for work on bytes that NumPy has no call for."""

from collections.abc import Callable

from alexnet_jax.hidden_module import hidden

# Loading compiled code, Numba imports all it knows of NumPy, and with that, to see whether it is
# there, SciPy's linear algebra: 0.15 s of processor time of each start.
with hidden("scipy.linalg"):
    import numba.np.arraymath


def compiled(function: Callable) -> Callable:
    """Compile at the first call, to run without Python's lock.

    The machine code is kept in `__pycache__` or the user's cache directory; where neither can be
    written, each process compiles for itself, for less than a second.
    """
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # Numba's word for: no place for a cache.
        return numba.njit(nogil=True)(function)
