"""Confidence intervals of error rates."""

import math

_DEVIATIONS = 1.959964  # Of a normal distribution: 95 % lie within them.


def wilson_interval(error: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of an error rate: Wilson, JASA 22, 1927, without continuity.

    Args:
        error: fraction of `count` examples that were wrong.
        count: number of examples, 1 or more.
    """
    square = _DEVIATIONS**2 / count
    center = error + square / 2
    spread = math.sqrt(square * (error * (1 - error) + square / 4))
    low, high = ((center + side * spread) / (1 + square) for side in (-1, 1))
    return max(0.0, low), min(1.0, high)
