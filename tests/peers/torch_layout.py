"""The same numbers in two layouts: ours and PyTorch's.

Ours has kernels as HWIO and flattens maps H, W, C; PyTorch has OIHW and C, H, W.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import nn

from alexnet_jax.models import AlexNet

Params = dict[str, dict[str, np.ndarray]]


def random_params(model: AlexNet, seed: int) -> Params:
    """Draw kernels that keep the scale of activations, and biases that are not all alike."""

    def scale(name: str, normal: np.ndarray) -> np.ndarray:
        inputs = normal.size // normal.shape[-1]
        return normal * np.float32((2 / inputs) ** 0.5 if name == "kernel" else 5.0)

    return _draw(model, "params", seed, scale)


def random_statistics(model: AlexNet, seed: int) -> Params:
    """Draw running means and variances; {} without batch normalization."""

    def scale(name: str, normal: np.ndarray) -> np.ndarray:
        return 60 * normal if name == "mean" else (60 * normal) ** 2

    return _draw(model, "batch_stats", seed, scale)


def _draw(model: AlexNet, collection: str, seed: int, scale: Callable) -> Params:
    """Fill a collection of the model with scale(name, normal draws) of each of its arrays."""
    size = model.spec.crop_size
    images = jnp.zeros((1, size, size, 3))
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), images, train=False))
    generator = np.random.default_rng(seed)
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: scale(path[-1].key, generator.standard_normal(leaf.shape, np.float32)),
        shapes.get(collection, {}),
    )


def images_to_torch(images: np.ndarray) -> torch.Tensor:
    """[B, H, W, C] -> [B, C, H, W]."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, 1)))


def flat_to_torch(units: np.ndarray, channels: int) -> np.ndarray:
    """Reorder the first axis, flattened square maps, from H, W, C to C, H, W."""
    side = round((len(units) / channels) ** 0.5)
    return units.reshape(side, side, channels, -1).transpose(2, 0, 1, 3).reshape(units.shape)


def _flat_from_torch(units: np.ndarray, channels: int) -> np.ndarray:
    side = round((len(units) / channels) ** 0.5)
    return units.reshape(channels, side, side, -1).transpose(1, 2, 0, 3).reshape(units.shape)


def last_maps(params: Params) -> int:
    """Return the number of maps that the first fully connected layer sees."""
    last = max(name for name in params if name.startswith("conv") and "kernel" in params[name])
    return params[last]["kernel"].shape[-1]


def _first_dense(params: Params) -> str:
    return min(name for name in params if name.startswith("fc"))


def params_to_torch(params: Params, statistics: Params | None = None) -> dict[str, torch.Tensor]:
    """Return PyTorch's state_dict for layers of the same names.

    Args:
        params: by layer; batch normalization, "conv1_norm", has a scale and a bias.
        statistics: running mean and variance of each batch normalization.
    """
    state = {}
    for name, layer in params.items():
        if "bias" in layer:
            state[f"{name}.bias"] = torch.from_numpy(np.array(layer["bias"]))
        if "kernel" not in layer:
            state[f"{name}.weight"] = torch.from_numpy(np.array(layer["scale"]))
            continue
        kernel = np.asarray(layer["kernel"])
        if name == _first_dense(params):
            kernel = flat_to_torch(kernel, last_maps(params))
        kernel = kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T
        state[f"{name}.weight"] = torch.from_numpy(kernel.copy())
    for name, moments in (statistics or {}).items():
        for kind, values in moments.items():
            state[f"{name}.running_{kind}"] = torch.from_numpy(np.array(values))
        state[f"{name}.num_batches_tracked"] = torch.tensor(0)
    return state


def params_from_torch(state: dict[str, torch.Tensor]) -> Params:
    """Return our parameters from a state_dict whose layers are called conv1, ..., fc6, ..."""
    params: Params = {}
    for key, tensor in state.items():
        name, kind = key.split(".")
        array = tensor.numpy()
        if kind == "weight":
            kind = "scale" if array.ndim == 1 else "kernel"
            array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
        # A copy: PyTorch goes on to write into its own memory.
        params.setdefault(name, {})[kind] = array.copy()
    first = params[_first_dense(params)]
    first["kernel"] = _flat_from_torch(first["kernel"], last_maps(params))
    return params


def gradients_from_torch(network: nn.Module) -> Params:
    """Return the gradients that PyTorch's layers hold, as our parameters' tree."""
    return params_from_torch({name: p.grad for name, p in network.named_parameters()})


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return the norm of the difference in units of the expected tensor's norm."""
    difference = np.asarray(actual, np.float64) - np.asarray(expected, np.float64)
    return float(np.linalg.norm(difference) / np.linalg.norm(np.asarray(expected, np.float64)))
