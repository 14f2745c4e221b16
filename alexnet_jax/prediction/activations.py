"""The activations of a network's layers, after each layer's nonlinearity."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from alexnet_jax.errors import UserError
from alexnet_jax.models import AlexNet

_SUFFIX = "_activation"  # Of the names under which `AlexNet` sows them.


def capture_activations(
    model: AlexNet, variables: Mapping[str, Any], crops: jax.Array, layers: Sequence[str] = ()
) -> dict[str, jax.Array]:
    """Compute the activations of layers in a forward pass without dropout.

    Activations are those right after the nonlinearity, wherever the network has it: conv1 of
    `original` is pooled before, conv1 of `caffenet` after it. Those of the output layer are logits.
    Under `jit`, layers above the highest of `layers` cost nothing.

    Args:
        model: Network to apply.
        variables: Variables for `model.apply`: params, and batch_stats if it normalizes batches.
        crops: float32 [B, s, s, 3], from `Preprocessing`.
        layers: Names such as "conv5" and "fc7"; none: all, from the input to the output.

    Returns:
        float32 [B, H, W, features] of convolutions and [B, units] of fully connected layers, by
        name, in the order of `layers`.

    Raises:
        UserError: the network has no such layer; the message lists those that it has.
    """
    logits, state = model.apply(variables, crops, train=False, mutable=["intermediates"])
    sown = state.get("intermediates", {})
    found = {name.removesuffix(_SUFFIX): maps for name, (maps,) in sown.items()}
    found[model.spec.output_name] = logits
    check_layers(layers, list(found))
    return {name: found[name].astype(jnp.float32) for name in layers or found}


def activation_shapes(model: AlexNet, crop_size: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of each layer's activations for one image, by name, without computing."""
    crops = jax.ShapeDtypeStruct((1, crop_size, crop_size, 3), jnp.float32)
    initialize = partial(model.init, jax.random.key(0), train=False)
    variables = jax.eval_shape(initialize, crops)
    # `jit` would sort the names: fc10 before fc9.
    order: list[str] = []

    def capture(variables: Any, crops: jax.Array) -> dict[str, jax.Array]:
        found = capture_activations(model, variables, crops)
        order.extend(found)
        return found

    shapes = jax.eval_shape(capture, variables, crops)
    return {name: shapes[name].shape[1:] for name in order}


def check_layers(layers: Sequence[str], known: Sequence[str]) -> None:
    """Raise UserError, listing the known layers, if a name is not among them."""
    unknown = [name for name in layers if name not in known]
    if unknown:
        raise UserError(f"no layer {unknown[0]!r}; this network has {', '.join(known)}")
