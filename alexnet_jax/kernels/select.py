"""Which form of a convolution is fastest on CPUs: the one table of dtypes and shapes.

Other platforms use XLA's own convolution. Measured on two cores of an AMD EPYC (docs/speed.md).
"""

import math
from typing import Literal

import jax
import jax.numpy as jnp

Form = Literal["winograd_2d", "winograd_1d", "in_bands", "at_once"]

# Channels, and features, in a group from which fewer multiplications are worth the transforms.
# Forward and both gradients: 3x3 windows over 32 maps of 13x13, 32 channels to as many features
# 5.1 ms instead of 3.9, 48 to 64 6.4 and 6.4, 64 to 64 6.1 instead of 8.5; 5x5 over 32 of 27x27,
# 16 to 16 8.8 instead of 8.5, 24 to 32 11 instead of 18.
_WORTH_TRANSFORMS = {(3, 3): 64, (5, 5): 24}
_WORTH_BANDS = 2 * 10**7  # Multiply-adds per image: a quarter of a millisecond of one core.
_BUSY_FEATURES = 256  # XLA divides so many over two cores by itself.


def conv_form(images: jax.Array, kernel: jax.Array, stride: int, groups: int) -> Form:
    """Return the form for [B, H, W, C] images and an [h, w, C / groups, features] kernel."""
    height, width, channels, features = kernel.shape
    enough = _WORTH_TRANSFORMS.get((height, width), math.inf)
    # The transforms of 16-bit numbers would lose digits.
    wide = jnp.finfo(kernel.dtype).bits >= 32
    if stride == 1 and wide and min(channels, features // groups) >= enough:
        return "winograd_2d" if (height, width) == (3, 3) else "winograd_1d"
    pixels = images.shape[1] * images.shape[2] // stride**2  # The batch may be of any size.
    few = features // groups < _BUSY_FEATURES
    if few and pixels * kernel.size // groups >= _WORTH_BANDS:
        return "in_bands"
    return "at_once"
