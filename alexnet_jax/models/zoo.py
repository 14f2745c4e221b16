"""Each network as a table, with its source.

"paper" is Krizhevsky, Sutskever, Hinton (NIPS 2012); "code" is the 2012 source published by the
Computer History Museum, whose `layers/layers-145.cfg` gave the paper's numbers.
"""

from dataclasses import replace

from alexnet_jax.models.modifications import keep_one_column, ungroup
from alexnet_jax.models.spec import Convolution, Dense, Dropout, Normalization, Pooling, Spec

_SAME3 = (1, 1)  # Padding that keeps the size of a map under a window of 3, ...
_SAME5 = (2, 2)  # ... and of 5.
_ACTIVATION = ("activation",)

ORIGINAL = Spec(
    source="code, layers/layers-145.cfg and layer-params-145.cfg",
    crop_size=224,
    columns=2,
    convolutions=(
        # The last window hangs 3 pixels over the right and bottom edge and reads zeros: 224 -> 55.
        Convolution(96, 11, ("lrn", "pool", "activation"), stride=4, padding=(0, 3)),
        # The spatial norm is not in the paper.
        Convolution(
            256, 5, ("activation", "lrn", "spatial_norm", "pool"), 1, _SAME5, groups=2, bias=1.0
        ),
        Convolution(384, 3, _ACTIVATION, 1, _SAME3, kernel_std=0.03),
        Convolution(384, 3, _ACTIVATION, 1, _SAME3, groups=2, kernel_std=0.03, bias=1.0),
        Convolution(256, 3, ("pool", "activation"), 1, _SAME3, 2, kernel_std=0.03, bias=1.0),
    ),
    dense=(Dense(4096), Dense(4096)),
)

PAPER = Spec(
    source="paper §3 and §5; the crop is 227, which the sizes of the text need",
    crop_size=227,
    columns=2,
    normalization=Normalization(alpha=1e-4),  # As printed: the plain sum times 1e-4.
    convolutions=(
        Convolution(96, 11, ("activation", "lrn", "pool"), stride=4),
        Convolution(256, 5, ("activation", "lrn", "pool"), 1, _SAME5, groups=2, bias=1.0),
        Convolution(384, 3, _ACTIVATION, 1, _SAME3),
        Convolution(384, 3, _ACTIVATION, 1, _SAME3, groups=2, bias=1.0),
        Convolution(256, 3, ("activation", "pool"), 1, _SAME3, groups=2, bias=1.0),
    ),
    dense=(Dense(4096), Dense(4096)),
)

SINGLE_TOWER = replace(
    ungroup(ORIGINAL),
    source="original without its two columns: 96/256/384/384/256 kernels that see all channels",
)

ONE_COLUMN = replace(
    keep_one_column(ORIGINAL),
    source="code, layers/layers-145-half.cfg: one column, conv5 as wide as in two",
)

SIX_CONV = replace(
    ORIGINAL,
    source="code, layers/layers-146-2012-2011.cfg: 1 CNN*, a sixth convolution over the last pool",
    convolutions=(
        *ORIGINAL.convolutions,
        Convolution(256, 3, _ACTIVATION, 1, _SAME3, kernel_std=0.03, bias=1.0),
    ),
)

CAFFE = replace(
    PAPER,
    source="Caffe, models/bvlc_alexnet/train_val.prototxt: the paper's layers, biases of 0.1",
    columns=1,
    normalization=Normalization(k=1.0),
    convolutions=tuple(
        replace(layer, bias=0.1 if layer.bias else 0.0) for layer in PAPER.convolutions
    ),
    dense=(Dense(4096, kernel_std=0.005, bias=0.1), Dense(4096, kernel_std=0.005, bias=0.1)),
    dropout=Dropout(inverted=True),
)

CAFFENET = replace(
    CAFFE,
    source="Caffe, models/bvlc_reference_caffenet/train_val.prototxt: pools before normalizing",
    convolutions=tuple(
        replace(
            layer,
            after=("activation", "pool", "lrn") if "lrn" in layer.after else layer.after,
            bias=1.0 if layer.bias else 0.0,
        )
        for layer in CAFFE.convolutions
    ),
    dense=tuple(replace(layer, bias=1.0) for layer in CAFFE.dense),
)

OWT = Spec(
    source="One weird trick (arXiv 1404.5997) as torchvision builds it, models/alexnet.py",
    crop_size=224,
    normalization=None,
    spatial_normalization=None,
    convolutions=(
        Convolution(64, 11, ("activation", "pool"), stride=4, padding=(2, 2)),
        Convolution(192, 5, ("activation", "pool"), padding=_SAME5),
        Convolution(384, 3, _ACTIVATION, padding=_SAME3),
        Convolution(256, 3, _ACTIVATION, padding=_SAME3),
        Convolution(256, 3, ("activation", "pool"), padding=_SAME3),
    ),
    dense=(Dense(4096), Dense(4096)),
    dropout=Dropout(inverted=True, before=True),
    initialization="torch",
)

TINY = replace(
    ORIGINAL,
    source="ours: original with an eighth of the kernels, for images of about 96 pixels and CPUs",
    crop_size=80,
    # Where a layer sees n times fewer inputs than the original's, its kernels start sqrt(n) times
    # larger, so that activations begin on the same scale.
    convolutions=(
        replace(ORIGINAL.convolutions[0], features=12, stride=2, padding=(0, 1)),
        replace(ORIGINAL.convolutions[1], features=32, kernel_std=0.028),
        replace(ORIGINAL.convolutions[2], features=48, kernel_std=0.085),
        replace(ORIGINAL.convolutions[3], features=48, kernel_std=0.085),
        replace(ORIGINAL.convolutions[4], features=32, kernel_std=0.085),
    ),
    dense=(Dense(256, kernel_std=0.057), Dense(256, kernel_std=0.04)),
    output_std=0.04,
)

FOUR_LAYER = Spec(
    source="cuda-convnet (2011), layers-18pct.cfg: the kind of network of the paper's figure 1; "
    "with maximum for average pooling, and without its two normalizations",
    crop_size=28,
    normalization=None,
    spatial_normalization=None,
    dropout=None,
    convolutions=(
        Convolution(32, 5, ("pool", "activation"), padding=_SAME5, kernel_std=0.0001),
        Convolution(32, 5, ("activation", "pool"), padding=_SAME5),
        Convolution(64, 5, ("activation", "pool"), padding=_SAME5),
    ),
)

TWO_CONV = Spec(
    source="ours: two convolutions with batch normalization, for small images and few seconds",
    crop_size=28,
    normalization=None,
    spatial_normalization=None,
    dropout=None,
    pooling=Pooling(window=2, stride=2),
    # Pooling comes first because the others then have a quarter of the pixels.
    convolutions=(
        Convolution(16, 3, ("pool", "batch_norm", "activation"), padding=_SAME3),
        Convolution(64, 3, ("pool", "batch_norm", "activation"), padding=_SAME3),
    ),
    dense=(Dense(128, bias=0.0),),
    initialization="he",
)

MODELS: dict[str, Spec] = {
    "original": ORIGINAL,
    "paper": PAPER,
    "single_tower": SINGLE_TOWER,
    "one_column": ONE_COLUMN,
    "caffe": CAFFE,
    "caffenet": CAFFENET,
    "owt": OWT,
    "six_conv": SIX_CONV,
    "tiny": TINY,
    "four_layer": FOUR_LAYER,
    "two_conv": TWO_CONV,
}
