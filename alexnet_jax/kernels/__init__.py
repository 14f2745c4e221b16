"""Faster forms of the operations in `alexnet_jax.models.ops`, each proven against the plain one."""

from collections.abc import Callable
from typing import NamedTuple

import jax

from alexnet_jax.kernels.conv import conv2d
from alexnet_jax.kernels.normalization import local_response_norm, spatial_response_norm
from alexnet_jax.kernels.pooling import max_pool


class Operations(NamedTuple):
    """The operations of a network that have several forms, with the same arguments in each."""

    conv2d: Callable[..., jax.Array]
    local_response_norm: Callable[..., jax.Array]
    spatial_response_norm: Callable[..., jax.Array]
    max_pool: Callable[..., jax.Array]


FAST = Operations(conv2d, local_response_norm, spatial_response_norm, max_pool)
