"""Small networks with random parameters, and files of them as other programs would write."""

from dataclasses import replace

import jax
import numpy as np
from flax.traverse_util import unflatten_dict

from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.models import create_model
from alexnet_jax.weights.bundle import Bundle, tensor_shapes


def narrow(spec):
    """The network with a sixteenth of its kernels and units: the same layers, small files."""
    convolutions = tuple(replace(each, features=each.features // 16) for each in spec.convolutions)
    dense = tuple(replace(each, features=each.features // 64) for each in spec.dense)
    return replace(spec, convolutions=convolutions, dense=dense)


def random_tensors(shapes, seed=0):
    """float32 arrays of these shapes, as small as trained kernels are."""
    random = np.random.default_rng(seed)
    return {
        name: random.normal(0, 0.05, shape).astype(np.float32) for name, shape in shapes.items()
    }


def make_bundle(model_name="tiny", num_classes=10, modifications=(), **fields):
    """A network with random parameters and a mean image of its own."""
    spec = create_model(model_name, num_classes, modifications=modifications).spec
    size = spec.crop_size + 16
    mean = np.random.default_rng(1).uniform(90, 140, (size, size, 3)).astype(np.float32)
    params = unflatten_dict(random_tensors(tensor_shapes(spec, num_classes)), sep="/")
    statistics = params.pop("batch_stats", {})
    statistics = jax.tree.map(lambda tensor: 1 + tensor, statistics)  # Variances above 0.
    std = np.array([1.0, 2.0, 0.5], np.float32)
    names = [f"kind {number}" for number in range(num_classes)]
    return Bundle(
        model_name,
        params,
        Preprocessing(mean, std),
        names,
        spec.crop_size,
        modifications=modifications,
        batch_stats=statistics,
        **fields,
    )


def same_params(first, second):
    """Say whether two trees of parameters have the same names and bits."""
    a, b = dict(_leaves(first)), dict(_leaves(second))
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def _leaves(params):
    for layer, arrays in params.items():
        for kind, array in arrays.items():
            yield f"{layer}/{kind}", np.asarray(array)
