"""Parameters together with what must travel with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.models import AlexNet, Spec, create_model

Tensors = Mapping[str, np.ndarray]  # Parameters by name: "conv1/kernel".
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Bundle:
    """A network's parameters, and all that is needed to use them.

    Attributes:
        model_name: the network, one of `alexnet_jax.models.MODELS`.
        params: float32, as linen has them: {"conv1": {"kernel": ..., "bias": ...}, ...}.
        preprocessing: what turns pixels into the network's input.
        class_names: of the outputs, in their order.
        crop_size: side of the network's input.
        dtype: of activations and products.
        changes: of the network's table, names of `alexnet_jax.models.CHANGES`.
        config: of the run that trained it, where it was ours.
        batch_stats: float32, running means and variances of batch normalisation, by layer.
        precision: of products, as `create_model` takes it.
    """

    model_name: str
    params: Mapping[str, Any]
    preprocessing: Preprocessing
    class_names: list[str]
    crop_size: int
    dtype: str = "float32"
    changes: Sequence[str] = ()
    config: Mapping[str, Any] | None = None
    batch_stats: Mapping[str, Any] = field(default_factory=dict)
    precision: str = "float32"

    @property
    def variables(self) -> dict[str, Any]:
        """What the model is applied with."""
        return {"params": self.params, "batch_stats": self.batch_stats}

    @property
    def image_size(self) -> int:
        """Side of the images that the crops are cut from."""
        return self.preprocessing.mean.shape[0]

    @cached_property
    def model(self) -> AlexNet:
        """The linen module that the parameters are of."""
        return create_model(
            self.model_name, len(self.class_names), self.dtype, self.changes, self.precision
        )


def flatten(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Turn {"conv1": {"kernel": ...}} into {"conv1/kernel": ...}, in host memory."""
    return traverse_util.flatten_dict(jax.device_get(params), sep="/")


def unflatten(tensors: Tensors) -> dict[str, Any]:
    """Undo `flatten`."""
    return traverse_util.unflatten_dict(dict(tensors), sep="/")


def parameter_shapes(spec: Spec, num_classes: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter of a network, by name, computing none of them."""
    return _shapes(spec, num_classes, "params")


def statistics_shapes(spec: Spec, num_classes: int) -> dict[str, tuple[int, ...]]:
    """Return the same of the running statistics of batch normalisation: "conv1_norm/mean"."""
    return _shapes(spec, num_classes, "batch_stats")


def _shapes(spec: Spec, num_classes: int, collection: str) -> dict[str, tuple[int, ...]]:
    build = spec.module or AlexNet
    model = build(spec=spec, num_classes=num_classes)
    images = jax.ShapeDtypeStruct((1, spec.crop_size, spec.crop_size, 3), jnp.float32)
    variables = jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), images)
    flat = traverse_util.flatten_dict(variables.get(collection, {}), sep="/")
    return {name: leaf.shape for name, leaf in flat.items()}
