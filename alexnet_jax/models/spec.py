"""A network of AlexNet's family as data: one dataclass for each kind of layer."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Normalization:
    """Local response normalization across channels: x / (k + alpha·Σx²)^beta.

    `alpha` multiplies the plain sum over the window of `size` channels. The 2012 code, Caffe
    and PyTorch divide by the window's size: their 1e-4 is 2e-5 here.
    """

    k: float = 2.0
    alpha: float = 2e-5
    beta: float = 0.75
    size: int = 5


@dataclass(frozen=True)
class SpatialNormalization:
    """The same within one map, over a square window: x / (1 + alpha·Σx²)^beta."""

    alpha: float = 0.001 / 25
    beta: float = 0.75
    size: int = 5


@dataclass(frozen=True)
class BatchNormalization:
    """Batch normalization (arXiv 1502.03167) with a scale and a bias per channel.

    From You, Gitman and Ginsburg (arXiv 1708.03888): nvcaffe's models/alexnet_bn.
    """

    momentum: float = 0.9  # Fraction of the running mean and variance kept at each step.
    epsilon: float = 1e-4  # Added to the variance.


@dataclass(frozen=True)
class Pooling:
    """Max pooling; overlapping where the window is wider than the stride."""

    window: int = 3
    stride: int = 2


@dataclass(frozen=True)
class Dropout:
    """Zero units in training with probability `rate`.

    Not inverted, as in 2012: evaluation multiplies all units by 1 - rate, training leaves the kept
    ones unchanged. It follows each hidden fully connected layer, or is `before` it (torchvision).
    """

    rate: float = 0.5
    inverted: bool = False
    before: bool = False


@dataclass(frozen=True)
class Convolution:
    """A convolution and the operations that follow it.

    Attributes:
        features: Number of kernels.
        window: Side of the square kernel.
        after: Names among "activation", "lrn", "spatial_norm", "batch_norm" and "pool", in order.
        stride: Pixels from one window to the next.
        padding: Zeros before and after each spatial side.
        groups: Number of independent groups of channels, 1 or 2.
        kernel_std: Standard deviation of the Gaussian that kernels start from.
        bias: Value that biases start from.
    """

    features: int
    window: int
    after: tuple[str, ...]
    stride: int = 1
    padding: tuple[int, int] = (0, 0)
    groups: int = 1
    kernel_std: float = 0.01
    bias: float = 0.0

    @property
    def has_bias(self) -> bool:
        """Whether it has biases: batch normalization, also of the maxima, would subtract them."""
        return [name for name in self.after if name != "pool"][:1] != ["batch_norm"]

    def kernel_shape(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        """Return [h, w, C / groups, features] for an image's maps, [H, W, C]."""
        return self.window, self.window, inputs[-1] // self.groups, self.features


@dataclass(frozen=True)
class Dense:
    """A hidden fully connected layer; the activation follows it.

    With `groups` 2, each half of its units sees one half of the channels below.
    """

    features: int
    groups: int = 1
    kernel_std: float = 0.01
    bias: float = 1.0
    has_bias: ClassVar[bool] = True

    def kernel_shape(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        """Return [inputs / groups, features] for an image's maps, [H, W, C], or units."""
        return math.prod(inputs) // self.groups, self.features


@dataclass(frozen=True)
class Spec:
    """A whole network. The output layer (`num_classes` units) follows the last `dense` layer.

    A network of another kind has no layers here, but a linen class: `module(spec=, num_classes=,
    dtype=, precision=)`, called as `AlexNet` is.

    Attributes:
        source: Where the table comes from.
        crop_size: Side of the square input that the layers' arithmetic is made for.
        convolutions: Convolutions conv1, conv2, ...
        dense: Hidden fully connected layers, numbered after the convolutions.
        columns: Groups of channels that normalization does not look across (2012: one per GPU).
        normalization: Parameters of "lrn"; None leaves it out.
        spatial_normalization: Parameters of "spatial_norm"; None leaves it out.
        batch_normalization: Parameters of "batch_norm".
        pooling: Parameters of "pool".
        activation: "relu" or "tanh".
        dropout: Parameters of dropout; None leaves it out.
        initialization: "gaussian", "he" or "torch"; see `initializers`.
        output_std: Standard deviation of the output layer's Gaussian; its biases start at 0.
        module: Linen class that builds the network; None means `AlexNet`.
        output_layer: Name of the module's output layer; None means fc1.
    """

    source: str
    crop_size: int
    convolutions: tuple[Convolution, ...] = ()
    dense: tuple[Dense, ...] = ()
    columns: int = 1
    normalization: Normalization | None = Normalization()
    spatial_normalization: SpatialNormalization | None = SpatialNormalization()
    batch_normalization: BatchNormalization = BatchNormalization()
    pooling: Pooling = Pooling()
    activation: str = "relu"
    dropout: Dropout | None = Dropout()
    initialization: str = "gaussian"
    output_std: float = 0.01
    module: Callable[..., Any] | None = None
    output_layer: str | None = None

    @property
    def output_name(self) -> str:
        """Name of the output layer: fc8, but for networks with more or fewer layers."""
        return self.output_layer or f"fc{len(self.convolutions) + len(self.dense) + 1}"
