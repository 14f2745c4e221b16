"""What the units of each layer do: how often they fire, and what excites each most."""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from alexnet_jax.data.preprocessing import center_crop
from alexnet_jax.models import AlexNet
from alexnet_jax.training.experiment import Network


class LayerMaxima(NamedTuple):
    """A layer's sums (before the activation) for N images, reduced over the maps' positions."""

    highest: Any  # float32 [N, units], the highest sum.
    place: Any  # int32 [N, units, 2], its row and column in the map; 0 in dense layers.
    active: Any  # float32 [N, units], the share of positions whose sum is above 0.
    square: Any  # float32 [N, units], the mean square of the sums.


def layer_sums(model: AlexNet, variables: Any, crops: jax.Array) -> dict[str, jax.Array]:
    """Return each layer's sums, after its batch normalization and before its activation.

    Shapes: [B, H, W, C] of convolutions, [B, units] of fully connected layers. The output layer is
    the last.
    """
    _, state = model.apply(
        variables,
        crops,
        train=False,
        capture_intermediates=lambda module, _: len(module.path) == 1,
        mutable=["intermediates"],
    )
    outputs: dict[str, jax.Array] = {}
    for name in in_order(variables["params"], model.spec.output_name):
        if name in state["intermediates"]:  # conv1_norm follows conv1, and replaces its sums.
            outputs[name.removesuffix("_norm")] = state["intermediates"][name]["__call__"][0]
    return outputs


def activate(model: AlexNet, sums: jax.Array) -> jax.Array:
    """Apply the network's activation to a layer's sums; returns float32."""
    return {"relu": nn.relu, "tanh": jnp.tanh}[model.spec.activation](sums.astype(jnp.float32))


def in_order(names: Iterable[str], output: str) -> list[str]:
    """Return names of layers by their numbers, the output layer last.

    JAX sorts dictionaries by name: fc10 would come before fc9.
    """

    def place(name: str) -> tuple[bool, int, str]:
        digits = re.findall(r"\d+", name)
        return name == output, int(digits[0]) if digits else 0, name

    return sorted(names, key=place)


def watch_units(
    network: Network, variables: Any, images: jax.Array
) -> tuple[jax.Array, dict[str, LayerMaxima]]:
    """Return the last hidden layer's features [B, units] and each layer's maxima.

    They are those of the center crops of `images`, uint8 [B, S, S, 3].
    """
    crops = network.preprocessing(center_crop(images, network.crop_size))
    sums = layer_sums(network.model, variables, crops)
    hidden = list(sums)[-2:][0]  # The output layer itself, where it is the only one.
    features = activate(network.model, sums[hidden]).reshape(len(images), -1)
    return features, {name: find_maxima(values) for name, values in sums.items()}


def find_maxima(sums: jax.Array) -> LayerMaxima:
    """Reduce a layer's sums, [N, H, W, units] or [N, units], over the positions."""
    width = sums.shape[2] if sums.ndim == 4 else 1
    by_place = sums.astype(jnp.float32).reshape(len(sums), -1, sums.shape[-1])
    place = jnp.argmax(by_place, axis=1).astype(jnp.int32)
    row_and_column = jnp.stack(jnp.divmod(place, width), axis=-1)
    return LayerMaxima(
        by_place.max(axis=1),
        row_and_column,
        jnp.mean(by_place > 0, axis=1),
        jnp.mean(by_place**2, axis=1),
    )


def exciting_images(highest: np.ndarray, count: int) -> np.ndarray:
    """Return the images that excite each unit most, int [units, count], the strongest first."""
    return np.argsort(-highest, axis=0, kind="stable")[:count].T


def firing_rates(highest: np.ndarray) -> np.ndarray:
    """Return the share of images for which each unit is above 0 anywhere, float [units]."""
    return np.asarray(np.mean(highest > 0, axis=0))
