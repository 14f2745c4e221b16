"""AlexNet: the linen module that builds any network of the zoo."""

import itertools
from dataclasses import asdict, field
from functools import partial
from types import ModuleType

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

from alexnet_jax.models.layers import Layer, PartitionedOp, Product, run_locally
from alexnet_jax.models.ops import dropout
from alexnet_jax.models.spec import Convolution, Dense, Spec


def fast_operations() -> ModuleType:
    """Return `alexnet_jax.kernels.operations`, imported when it is first used.

    A network of plain forms, and whatever reads only the tables, needs no kernels.
    """
    from alexnet_jax.kernels import operations

    return operations


class AlexNet(nn.Module):
    """Convolutions conv1, conv2, ..., then fully connected layers fc6, fc7, ..., as `spec` says.

    Attributes:
        spec: Table of the layers.
        num_classes: Number of outputs of the last layer.
        dtype: Dtype of activations and products; parameters, normalization and logits are float32.
        precision: Precision of products of float32 numbers, see `models.ops.conv2d`.
        partitioned_op: Function that computes the products with the layers' kernels.
        operations: `fast_operations()`, or `models.ops` for the plain forms.
    """

    spec: Spec
    num_classes: int = 1000
    dtype: DTypeLike = jnp.float32
    precision: lax.Precision = lax.Precision.HIGHEST
    partitioned_op: PartitionedOp = run_locally
    operations: ModuleType = field(default_factory=fast_operations)

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool, positions: jax.Array | None = None
    ) -> jax.Array:
        """Compute logits.

        Shapes in the comments are those of `original`.

        Args:
            images: float32 [B, S, S, 3], RGB 0-255 minus the mean; S is `spec.crop_size`.
            train: Drop units (needs the rng stream "dropout"); batch normalization uses the batch's
                statistics and updates the running ones (needs `mutable=["batch_stats"]`).
            positions: int32 [B], positions in the global batch, if the images are a part of one.

        Returns:
            float32 [B, num_classes].
        """
        numbers = itertools.count(1)
        x = images.astype(self.dtype)  # [B, 224, 224, 3]
        for convolution in self.spec.convolutions:
            # [B, 55, 55, 96], [B, 27, 27, 256], [B, 13, 13, 384] twice, [B, 13, 13, 256]
            name = f"conv{next(numbers)}"
            x = self._layer(convolution, name, self._convolve(convolution), self.dtype)(x)
            # Pooling makes [B, 27, 27, 96], [B, 13, 13, 256] and, after conv5, [B, 6, 6, 256].
            for operation in convolution.after:
                with jax.named_scope(f"{name}_{operation}"):  # In profiles.
                    x = self._apply(operation, x, name, train)
        for hidden in self.spec.dense:  # [B, 4096] twice; fc6 flattens the maps to [B, 9216].
            x = self._drop(x, train, positions, before=True)
            name = f"fc{next(numbers)}"
            x = self._connect(hidden, name, self.dtype)(x)
            x = self._activate(x, name)
            x = self._drop(x, train, positions, before=False)
        # Logits are float32 whatever the dtype: rounded, those of many classes would tie.
        output = Dense(self.num_classes, kernel_std=self.spec.output_std, bias=0.0)
        return self._connect(output, f"fc{next(numbers)}", jnp.float32)(x)  # [B, 1000]

    def _layer(
        self, row: Convolution | Dense, name: str, product: Product, result_dtype: DTypeLike
    ) -> Layer:
        start, dtype, op = self.spec.initialization, self.dtype, self.partitioned_op
        return Layer(row, product, start, dtype, result_dtype, op, name=name)

    def _convolve(self, layer: Convolution) -> Product:
        def convolve(x: jax.Array, kernel: jax.Array, groups: int) -> jax.Array:
            kernel = kernel.astype(x.dtype)
            return self.operations.conv2d(
                x, kernel, layer.stride, layer.padding, groups, self.precision
            )

        return convolve

    def _connect(self, layer: Dense, name: str, result_dtype: DTypeLike) -> Layer:
        connect = self.operations.connect
        product = partial(connect, precision=self.precision, result_dtype=result_dtype)
        return self._layer(layer, name, product, result_dtype)

    def _apply(self, operation: str, x: jax.Array, name: str, train: bool) -> jax.Array:
        """Apply what follows the convolution called `name`."""
        spec, operations = self.spec, self.operations
        norm, spatial = spec.normalization, spec.spatial_normalization
        match operation:
            case "activation":
                return self._activate(x, name)
            case "lrn" if norm:
                return operations.local_response_norm(x, **asdict(norm), groups=spec.columns)
            case "spatial_norm" if spatial:
                return operations.spatial_response_norm(x, **asdict(spatial))
            case "lrn" | "spatial_norm":  # A table may leave them out.
                return x
            case "batch_norm":  # In float32, over the batch of all devices: one array under `jit`.
                normalize = nn.BatchNorm(
                    use_running_average=not train,
                    dtype=self.dtype,  # Of the result.
                    name=f"{name}_norm",
                    **asdict(spec.batch_normalization),
                )
                return normalize(x.astype(jnp.float32))
            case "pool":
                return operations.max_pool(x, spec.pooling.window, spec.pooling.stride)
        known = "activation, lrn, spatial_norm, batch_norm, pool"
        raise ValueError(f"unknown operation {operation!r}: {known}")

    def _activate(self, x: jax.Array, name: str) -> jax.Array:
        """Apply the nonlinearity of the layer called `name`."""
        activations = {"relu": self.operations.relu, "tanh": jnp.tanh}[self.spec.activation](x)
        # Kept only where "intermediates" is mutable: prediction/activations.py reads it.
        self.sow("intermediates", f"{name}_activation", activations)
        return activations

    def _drop(
        self, x: jax.Array, train: bool, positions: jax.Array | None, before: bool
    ) -> jax.Array:
        settings = self.spec.dropout
        if settings is None or settings.before != before:
            return x
        key = self.make_rng("dropout") if train else None
        return dropout(x, settings.rate, settings.inverted, train, key, positions)
