"""`Bundle`: a network's parameters with all that is needed to use them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from alexnet_jax.data.decoding.images import IMAGE_SIZE
from alexnet_jax.data.imagenet.names import imagenet_words
from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.models import AlexNet, Spec, create_model

Tensors = Mapping[str, np.ndarray]  # By name, e.g. "conv1/kernel".
Shapes = Mapping[str, tuple[int, ...]]

STATISTICS = "batch_stats"  # Prefix of the names of running statistics.


@dataclass(frozen=True, eq=False)
class Bundle:
    """A network's parameters, and all that is needed to use them.

    Attributes:
        model_name: One of `alexnet_jax.models.MODELS`.
        params: float32, as in linen: {"conv1": {"kernel": ..., "bias": ...}, ...}.
        preprocessing: Conversion of pixels to the network's input.
        class_names: Names of the outputs' classes, in order.
        crop_size: Side of the network's input.
        dtype: Dtype of activations and products.
        modifications: Names in `alexnet_jax.models.MODIFICATIONS`, applied to the network's table.
        config: Config of the run that trained it, if it was trained here.
        batch_stats: float32, running means and variances of batch normalization, by layer.
        precision: Precision of products, as for `create_model`.
        kernels: Forms of the operations, as for `create_model`.
    """

    model_name: str
    params: Mapping[str, Any]
    preprocessing: Preprocessing
    class_names: list[str]
    crop_size: int
    dtype: str = "float32"
    modifications: Sequence[str] = ()
    config: Mapping[str, Any] | None = None
    batch_stats: Mapping[str, Any] = field(default_factory=dict)
    precision: str = "float32"
    kernels: str = "fast"

    @property
    def variables(self) -> dict[str, Any]:
        """The variables for `model.apply`."""
        return {"params": self.params, "batch_stats": self.batch_stats}

    @property
    def data(self) -> str | None:
        """Name of the data set that it was trained on here; None if it was trained elsewhere."""
        return None if self.config is None else str(self.config["data"]["name"])

    @property
    def image_size(self) -> int:
        """Side of the images before cropping."""
        return self.preprocessing.mean.shape[0]

    @cached_property
    def model(self) -> AlexNet:
        """The linen module."""
        return create_model(
            self.model_name,
            len(self.class_names),
            self.dtype,
            self.modifications,
            self.precision,
            self.kernels,
        )


def tensor_shapes(spec: Spec, num_classes: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of parameters, "conv1/kernel", and "batch_stats/conv1_norm/mean"."""
    model = (spec.module or AlexNet)(spec=spec, num_classes=num_classes)
    images = jax.ShapeDtypeStruct((1, spec.crop_size, spec.crop_size, 3), jnp.float32)
    variables = jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), images)
    tree = {**variables["params"], STATISTICS: variables.get("batch_stats", {})}
    return {name: leaf.shape for name, leaf in flatten_dict(tree, sep="/").items()}


def constant_preprocessing(mean: np.ndarray, std: np.ndarray) -> Preprocessing:
    """Return (x - mean) / std with one mean per channel, RGB, for images of the usual size."""
    image = np.broadcast_to(mean, (IMAGE_SIZE, IMAGE_SIZE, 3)).astype(np.float32)
    return Preprocessing(image, np.asarray(std, np.float32))


def name_classes(count: int) -> list[str]:
    """Return class names for a file that has none.

    1,000 classes get the names of ILSVRC-2012, sorted by synset number, which is the order of
    torchvision, Caffe and TFDS. Others are numbered.
    """
    if count == 1000:
        return list(imagenet_words())
    return [f"class {number}" for number in range(count)]
