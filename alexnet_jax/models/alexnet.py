"""AlexNet: the linen module that builds any network of the zoo."""

import itertools
import math
from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jax.typing import DTypeLike

from alexnet_jax.kernels import FAST, Operations
from alexnet_jax.models.grouped import GroupedConv, GroupedDense
from alexnet_jax.models.initialization import initializers
from alexnet_jax.models.ops import dropout
from alexnet_jax.models.partitioning import PartitionedOp, run_locally
from alexnet_jax.models.spec import Convolution, Dense, Spec


class AlexNet(nn.Module):
    """Convolutions conv1, conv2, ..., fully connected layers fc6, fc7, ..., as `spec` says.

    Attributes:
        spec: the table.
        num_classes: outputs of the last layer.
        dtype: of activations and what is multiplied; parameters, normalisation and logits are
            float32.
        precision: of products of float32 numbers, see `models.ops.conv2d`.
        partitioned_op: computes the products with the layers' kernels.
        operations: in which form the operations are computed.
    """

    spec: Spec
    num_classes: int = 1000
    dtype: DTypeLike = jnp.float32
    precision: lax.Precision = lax.Precision.HIGHEST
    partitioned_op: PartitionedOp = run_locally
    operations: Operations = FAST

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool, positions: jax.Array | None = None
    ) -> jax.Array:
        """Compute logits.

        Shapes in the comments are those of `original`.

        Args:
            images: float32 [B, S, S, 3], RGB 0-255 minus the mean; S is `spec.crop_size`.
            train: drop units (needs the rng stream "dropout"), and where there is batch
                normalisation take the batch's statistics and update the running ones (needs
                `mutable=["batch_stats"]`).
            positions: int32 [B], of the images in the global batch, where they are a part of it.

        Returns:
            float32 [B, num_classes].
        """
        x = images.astype(self.dtype)  # [B, 224, 224, 3]
        numbers = itertools.count(1)
        for convolution in self.spec.convolutions:
            # [B, 27, 27, 96], [B, 13, 13, 256], [B, 13, 13, 384] twice, [B, 6, 6, 256]
            x = self._convolve(x, convolution, f"conv{next(numbers)}", train)
        for hidden in self.spec.dense:  # The first of them flattens the maps: [B, 9216]
            x = self._drop(x, train, positions, before=True)
            x = self._connect(x, hidden, f"fc{next(numbers)}", self.dtype)  # [B, 4096]
            x = self._activate(x)
            x = self._drop(x, train, positions, before=False)
        output = Dense(self.num_classes, kernel_std=self.spec.output_std, bias=0.0)
        # Sums and biases of logits are never rounded to `dtype`: many classes would tie.
        return self._connect(x, output, f"fc{next(numbers)}", jnp.float32)

    def _convolve(self, x: jax.Array, layer: Convolution, name: str, train: bool) -> jax.Array:
        inputs = layer.window**2 * x.shape[-1] // layer.groups
        kernel_init, bias_init = self._initializers(layer, inputs)
        x = GroupedConv(
            layer.features,
            layer.window,
            convolve=partial(
                self.operations.conv2d,
                stride=layer.stride,
                padding=layer.padding,
                precision=self.precision,
            ),
            groups=layer.groups,
            use_bias=layer.has_bias,
            kernel_init=kernel_init,
            bias_init=bias_init,
            dtype=self.dtype,
            partitioned_op=self.partitioned_op,
            name=name,
        )(x)
        for operation in layer.after:
            if operation == "batch_norm":
                x = self._normalize_batch(x, f"{name}_norm", train)
            else:
                x = self._apply_operation(x, operation)
        return x

    def _normalize_batch(self, x: jax.Array, name: str, train: bool) -> jax.Array:
        """Normalise over the whole batch, on however many devices it lies, in float32.

        The batch is one array under `jit`, so its mean is that of all devices' examples.
        """
        settings = self.spec.batch_normalization
        return nn.BatchNorm(
            use_running_average=not train,
            momentum=settings.momentum,
            epsilon=settings.epsilon,
            dtype=self.dtype,  # Of the result.
            name=name,
        )(x.astype(jnp.float32))

    def _apply_operation(self, x: jax.Array, operation: str) -> jax.Array:
        spec, operations = self.spec, self.operations
        norm, spatial = spec.normalization, spec.spatial_normalization
        match operation:
            case "activation":
                return self._activate(x)
            case "lrn":
                if norm is None:
                    return x
                return operations.local_response_norm(
                    x, norm.k, norm.alpha, norm.beta, norm.size, spec.columns
                )
            case "spatial_norm":
                if spatial is None:
                    return x
                return operations.spatial_response_norm(
                    x, spatial.alpha, spatial.beta, spatial.size
                )
            case "pool":
                return operations.max_pool(x, spec.pooling.window, spec.pooling.stride)
        known = "activation, lrn, spatial_norm, batch_norm, pool"
        raise ValueError(f"unknown operation {operation!r}: {known}")

    def _connect(self, x: jax.Array, layer: Dense, name: str, result_dtype: DTypeLike) -> jax.Array:
        inputs = math.prod(x.shape[1:]) // layer.groups
        kernel_init, bias_init = self._initializers(layer, inputs)
        return GroupedDense(
            layer.features,
            groups=layer.groups,
            kernel_init=kernel_init,
            bias_init=bias_init,
            dtype=self.dtype,
            result_dtype=result_dtype,
            precision=self.precision,
            partitioned_op=self.partitioned_op,
            name=name,
        )(x)

    def _initializers(self, layer: Convolution | Dense, inputs: int) -> tuple:
        return initializers(self.spec.initialization, layer.kernel_std, layer.bias, inputs)

    def _activate(self, x: jax.Array) -> jax.Array:
        return {"relu": nn.relu, "tanh": jnp.tanh}[self.spec.activation](x)

    def _drop(
        self, x: jax.Array, train: bool, positions: jax.Array | None, before: bool
    ) -> jax.Array:
        settings = self.spec.dropout
        if settings is None or settings.before != before:
            return x
        key = self.make_rng("dropout") if train else None
        return dropout(x, settings.rate, settings.inverted, train, key, positions)
