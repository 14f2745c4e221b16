"""AlexNet: the linen module that builds any network of the zoo."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from alexnet_jax.models.conv import conv2d
from alexnet_jax.models.initialization import initializers
from alexnet_jax.models.layers import (
    GroupedConv,
    GroupedDense,
    dropout,
    flatten_by_group,
    local_response_norm,
    max_pool,
    spatial_response_norm,
)
from alexnet_jax.models.spec import Convolution, Dense, Spec


class AlexNet(nn.Module):
    """Convolutions conv1, conv2, ..., fully connected layers fc6, fc7, ..., as `spec` says.

    Attributes:
        spec: the table.
        num_classes: outputs of the last layer.
        dtype: of activations and products; parameters, normalisation and logits are float32.
    """

    spec: Spec
    num_classes: int = 1000
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Compute logits.

        Shapes in the comments are those of `original`.

        Args:
            images: float32 [B, S, S, 3], RGB 0-255 minus the mean; S is `spec.crop_size`.
            train: drop units (needs the rng stream "dropout").

        Returns:
            float32 [B, num_classes].
        """
        x = images.astype(self.dtype)  # [B, 224, 224, 3]
        numbers = itertools.count(1)
        for convolution in self.spec.convolutions:
            # [B, 27, 27, 96], [B, 13, 13, 256], [B, 13, 13, 384] twice, [B, 6, 6, 256]
            x = self._convolve(x, convolution, f"conv{next(numbers)}")
        x = flatten_by_group(x, self.spec.dense[0].groups)  # [B, 9216]
        for hidden in self.spec.dense:
            x = self._drop(x, train, before=True)
            x = self._activate(self._connect(x, hidden, f"fc{next(numbers)}"))  # [B, 4096]
            x = self._drop(x, train, before=False)
        output = Dense(self.num_classes, kernel_std=self.spec.output_std, bias=0.0)
        return self._connect(x, output, f"fc{next(numbers)}").astype(jnp.float32)

    def _convolve(self, x: jax.Array, layer: Convolution, name: str) -> jax.Array:
        inputs = layer.window**2 * x.shape[-1] // layer.groups
        kernel_init, bias_init = self._initializers(layer, inputs)
        x = GroupedConv(
            layer.features,
            layer.window,
            convolve=partial(
                conv2d, stride=layer.stride, padding=layer.padding, groups=layer.groups
            ),
            groups=layer.groups,
            kernel_init=kernel_init,
            bias_init=bias_init,
            dtype=self.dtype,
            name=name,
        )(x)
        for operation in layer.after:
            x = self._apply_operation(x, operation)
        return x

    def _apply_operation(self, x: jax.Array, operation: str) -> jax.Array:
        spec = self.spec
        norm, spatial = spec.normalization, spec.spatial_normalization
        match operation:
            case "activation":
                return self._activate(x)
            case "lrn":
                if norm is None:
                    return x
                return local_response_norm(
                    x, norm.k, norm.alpha, norm.beta, norm.size, spec.columns
                )
            case "spatial_norm":
                if spatial is None:
                    return x
                return spatial_response_norm(x, spatial.alpha, spatial.beta, spatial.size)
            case "pool":
                return max_pool(x, spec.pooling.window, spec.pooling.stride)
        raise ValueError(f"unknown operation {operation!r}: activation, lrn, spatial_norm, pool")

    def _connect(self, x: jax.Array, layer: Dense, name: str) -> jax.Array:
        kernel_init, bias_init = self._initializers(layer, x.shape[-1] // layer.groups)
        return GroupedDense(
            layer.features,
            groups=layer.groups,
            kernel_init=kernel_init,
            bias_init=bias_init,
            dtype=self.dtype,
            name=name,
        )(x)

    def _initializers(self, layer: Convolution | Dense, inputs: int) -> tuple:
        return initializers(self.spec.initialization, layer.kernel_std, layer.bias, inputs)

    def _activate(self, x: jax.Array) -> jax.Array:
        return {"relu": nn.relu, "tanh": jnp.tanh}[self.spec.activation](x)

    def _drop(self, x: jax.Array, train: bool, before: bool) -> jax.Array:
        settings = self.spec.dropout
        if settings is None or settings.before != before:
            return x
        key = self.make_rng("dropout") if train else None
        return dropout(x, settings.rate, settings.inverted, train, key)
