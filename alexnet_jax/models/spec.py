"""What a network of AlexNet's family is, as data: one dataclass a kind of layer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Normalization:
    """Local response normalisation across channels: x / (k + alpha·Σx²)^beta.

    `alpha` multiplies the plain sum over the window of `size` channels. The 2012 code, Caffe
    and PyTorch divide by the window's size instead: their 1e-4 is 2e-5 here.
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
    """Batch normalisation (arXiv 1502.03167), a scale and a bias a channel after it.

    The numbers are those of You, Gitman and Ginsburg (arXiv 1708.03888), in the table that they
    trained: nvcaffe, models/alexnet_bn/train_val.prototxt.

    Attributes:
        momentum: what the running mean and variance keep of themselves each step.
        epsilon: added to the variance.
    """

    momentum: float = 0.9
    epsilon: float = 1e-4


@dataclass(frozen=True)
class Pooling:
    """Max pooling; overlapping where the window is wider than the stride."""

    window: int = 3
    stride: int = 2


@dataclass(frozen=True)
class Dropout:
    """Zero units in training with probability `rate`.

    Where it is not inverted, as in 2012, training leaves the rest as it is, and evaluation
    multiplies all units by 1 - rate. In 2012 it followed each hidden fully connected layer; in
    torchvision it precedes it.
    """

    rate: float = 0.5
    inverted: bool = False
    before: bool = False


@dataclass(frozen=True)
class Convolution:
    """A convolution and what follows it, in order.

    Attributes:
        features: number of kernels.
        window: side of the square kernel.
        after: names among "activation", "lrn", "spatial_norm", "batch_norm" and "pool", in the
            order they apply.
        stride: pixels from one window to the next.
        padding: zeros before and after each spatial side.
        groups: independent halves (2) or one whole (1).
        kernel_std: standard deviation of the Gaussian that kernels start from.
        bias: value that biases start from.
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
        """Say whether it has biases: batch normalisation right after it would subtract them."""
        return self.after[:1] != ("batch_norm",)


@dataclass(frozen=True)
class Dense:
    """A hidden fully connected layer; the activation follows it.

    With `groups` 2, each half of its units sees one half of the channels below.
    """

    features: int
    groups: int = 1
    kernel_std: float = 0.01
    bias: float = 1.0


@dataclass(frozen=True)
class Spec:
    """A whole network. The output layer (`num_classes` units) follows the last `dense` layer.

    Attributes:
        source: where the table comes from.
        crop_size: side of the square input that the layers' arithmetic is made for.
        convolutions: conv1, conv2, ...
        dense: the hidden fully connected layers, numbered on from the convolutions.
        columns: groups of channels that normalisation does not look across (2012: one a GPU).
        normalization: what "lrn" does; None leaves it out.
        spatial_normalization: what "spatial_norm" does; None leaves it out.
        batch_normalization: what "batch_norm" does.
        pooling: what "pool" does.
        activation: "relu" or "tanh".
        dropout: None for none.
        initialization: "gaussian", as each layer's `kernel_std` and `bias` say; "he": variance
            2 / inputs and no bias; "torch": kernels and biases uniform in ±1/sqrt(inputs).
        output_std: standard deviation of the output layer's Gaussian; its biases start at 0.
    """

    source: str
    crop_size: int
    convolutions: tuple[Convolution, ...]
    dense: tuple[Dense, ...]
    columns: int = 1
    normalization: Normalization | None = Normalization()
    spatial_normalization: SpatialNormalization | None = SpatialNormalization()
    batch_normalization: BatchNormalization = BatchNormalization()
    pooling: Pooling = Pooling()
    activation: str = "relu"
    dropout: Dropout | None = Dropout()
    initialization: str = "gaussian"
    output_std: float = 0.01

    @property
    def output_name(self) -> str:
        """Name of the output layer: fc8, but for networks with more or fewer layers."""
        return f"fc{len(self.convolutions) + len(self.dense) + 1}"
