"""The networks: tables of 2012 and later, and one module that builds any of them."""

from collections.abc import Sequence
from functools import partial

import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from alexnet_jax.errors import UserError
from alexnet_jax.models import ops
from alexnet_jax.models.alexnet import AlexNet, fast_operations
from alexnet_jax.models.modifications import MODIFICATIONS, apply_modifications
from alexnet_jax.models.spec import Spec
from alexnet_jax.models.zoo import MODELS

DTYPES = ("float32", "bfloat16")
PRECISIONS = {"float32": lax.Precision.HIGHEST, "fast": lax.Precision.DEFAULT}
KERNELS = {"fast": fast_operations, "plain": lambda: ops}

__all__ = ["MODELS", "MODIFICATIONS", "AlexNet", "Spec", "create_model", "find_spec"]


def create_model(
    name: str,
    num_classes: int = 1000,
    dtype: DTypeLike = jnp.float32,
    modifications: Sequence[str] = (),
    precision: str = "float32",
    kernels: str = "fast",
) -> AlexNet:
    """Build the network called `name`.

    Args:
        name: One of `MODELS`.
        num_classes: Number of outputs of the last layer.
        dtype: Dtype of activations and products; parameters, normalization and logits are float32.
        modifications: Names in `MODIFICATIONS`, applied to the network's table in this order.
        precision: Precision of products if `dtype` is float32: "float32" on every platform, or
            "fast", the platform's own: TensorFloat-32 on GPUs since Ampere, bfloat16 on TPUs.
        kernels: "fast" for the fastest forms of the operations on this platform, "plain" for those
            of `alexnet_jax.models.ops`. They differ by rounding.

    Raises:
        UserError: a value is not among the known ones, or `num_classes` is less than 2.
    """
    if str(getattr(dtype, "__name__", dtype)) not in DTYPES:
        raise UserError(f"no dtype {dtype!r} of a network; the known ones: {', '.join(DTYPES)}")
    if precision not in PRECISIONS:
        raise UserError(f"no precision {precision!r}; the known ones: {', '.join(PRECISIONS)}")
    if kernels not in KERNELS:
        raise UserError(f"no kernels {kernels!r}; the known ones: {', '.join(KERNELS)}")
    if num_classes < 2:
        raise UserError(f"num_classes={num_classes}: a classifier needs at least 2")
    # Products of bfloat16 numbers are exact in float32, where they are summed.
    narrow = jnp.finfo(dtype).bits < 32
    spec = find_spec(name, modifications)
    build = spec.module or partial(AlexNet, operations=KERNELS[kernels]())
    return build(
        spec=spec,
        num_classes=num_classes,
        dtype=jnp.dtype(dtype),
        precision=PRECISIONS["fast" if narrow else precision],
    )


def find_spec(name: str, modifications: Sequence[str] = ()) -> Spec:
    """Return the table of a network, modified; UserError lists the known names."""
    if name not in MODELS:
        raise UserError(f"no model {name!r}; the known ones: {', '.join(MODELS)}")
    return apply_modifications(MODELS[name], modifications)
