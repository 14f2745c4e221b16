"""Short convolutions with few multiplications: Winograd's F(m, r), and how to apply it.

m results of a window of r numbers take m + r - 1 multiplications instead of m·r: the numbers and
the window are transformed, multiplied one by one, and transformed back. Lavin & Gray, 2015
(arXiv:1509.09308), use it for networks, where the products are sums over channels and so matrix
products.
"""

from collections.abc import Sequence
from functools import cache, reduce
from math import prod

import jax
from jax import lax
from numpy.polynomial.polynomial import polyfromroots

Matrix = Sequence[Sequence[float]]


def matrices(points: Sequence[float], results: int) -> tuple[Matrix, Matrix, Matrix]:
    """Return Lavin & Gray's Bᵀ, G and Aᵀ, by Toom's and Cook's construction.

    G and A take polynomials' values at the points and at infinity, Bᵀ finds a polynomial from its
    values. With zero and powers of two as points only G has numbers that must be rounded.

    Args:
        points: m + r - 2 different numbers.
        results: m.

    Returns:
        [m + r - 1, m + r - 1], to transform the numbers; [m + r - 1, r], the window;
        [m, m + r - 1], the products.
    """
    window = len(points) + 2 - results
    others = [[q for q in points if q != p] for p in points]
    of_numbers = [[*polyfromroots(rest).tolist(), 0.0] for rest in others]
    of_window = [
        [p**power / prod(p - q for q in rest) for power in range(window)]
        for p, rest in zip(points, others, strict=True)
    ]
    of_products = [[*(p**power for p in points), 0.0] for power in range(results)]
    of_products[-1][-1] = 1.0
    return (
        [*of_numbers, polyfromroots(points).tolist()],
        [*of_window, [0.0] * (window - 1) + [1.0]],
        of_products,
    )


def transposed(matrix: Matrix) -> Matrix:
    """Exchange rows and columns."""
    return list(zip(*matrix, strict=True))


def transform(parts: Sequence[jax.Array], matrix: Matrix) -> list[jax.Array]:
    """Multiply the matrix with a vector of arrays of one shape.

    In operations of `lax`, which take a fraction of the time to trace, in the order of the row. A
    term that several rows have is computed once, whatever its sign where it does not lead the row.
    """

    @cache
    def constant(factor: float) -> jax.Array:
        return lax.full_like(parts[0], factor)

    @cache
    def term(factor: float, index: int) -> jax.Array:
        return parts[index] if factor == 1 else lax.mul(parts[index], constant(factor))

    def include(total: jax.Array, following: tuple[float, int]) -> jax.Array:
        factor, index = following
        operation = lax.add if factor > 0 else lax.sub
        return operation(total, term(abs(factor), index))

    rows = [[(factor, index) for index, factor in enumerate(row) if factor] for row in matrix]
    return [reduce(include, row[1:], term(*row[0])) for row in rows]


def windows(pixels: jax.Array, across: int, step: int, count: int, axis: int) -> list[jax.Array]:
    """Return the first number of each of `count` windows, `step` apart, then the second."""
    last = step * (count - 1) + 1
    return [lax.slice_in_dim(pixels, first, first + last, step, axis) for first in range(across)]
