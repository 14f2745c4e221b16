"""Each network as a table, with its source.

"paper" is Krizhevsky, Sutskever, Hinton (NIPS 2012); "code" is the 2012 source published by the
Computer History Museum, whose `layers/layers-145.cfg` made the paper's numbers. Where the two
disagree both are here, by name.
"""

from dataclasses import replace

from alexnet_jax.models.spec import Convolution, Dense, Normalization, Spec

ORIGINAL = Spec(
    source="code, layers/layers-145.cfg and layer-params-145.cfg",
    crop_size=224,
    columns=2,
    convolutions=(
        # The last window hangs 3 pixels over the right and bottom edge and reads zeros: 224 -> 55.
        Convolution(96, 11, ("lrn", "pool", "relu"), stride=4, padding=(0, 3)),
        # The spatial norm is not in the paper.
        Convolution(
            256, 5, ("relu", "lrn", "spatial_norm", "pool"), padding=(2, 2), groups=2, bias=1.0
        ),
        Convolution(384, 3, ("relu",), padding=(1, 1), kernel_std=0.03),
        Convolution(384, 3, ("relu",), padding=(1, 1), groups=2, kernel_std=0.03, bias=1.0),
        Convolution(256, 3, ("pool", "relu"), padding=(1, 1), groups=2, kernel_std=0.03, bias=1.0),
    ),
    dense=(Dense(4096), Dense(4096)),
)

PAPER = Spec(
    source="paper §3 and §5; the crop is 227, which the sizes of the text need",
    crop_size=227,
    columns=2,
    normalization=Normalization(alpha=1e-4),  # As printed: the plain sum times 1e-4.
    convolutions=(
        Convolution(96, 11, ("relu", "lrn", "pool"), stride=4),
        Convolution(256, 5, ("relu", "lrn", "pool"), padding=(2, 2), groups=2, bias=1.0),
        Convolution(384, 3, ("relu",), padding=(1, 1)),
        Convolution(384, 3, ("relu",), padding=(1, 1), groups=2, bias=1.0),
        Convolution(256, 3, ("relu", "pool"), padding=(1, 1), groups=2, bias=1.0),
    ),
    dense=(Dense(4096), Dense(4096)),
)

SINGLE_TOWER = replace(
    ORIGINAL,
    source="original without its two columns: 96/256/384/384/256 kernels that see all channels",
    columns=1,
    convolutions=tuple(replace(layer, groups=1) for layer in ORIGINAL.convolutions),
)

TINY = Spec(
    # Where a layer sees n times fewer inputs than the original's, its kernels start sqrt(n) times
    # larger, so that activations begin on the same scale.
    source="ours: original with an eighth of the kernels, for images of about 96 pixels and CPUs",
    crop_size=80,
    columns=2,
    convolutions=(
        Convolution(12, 11, ("lrn", "pool", "relu"), stride=2, padding=(0, 1)),
        Convolution(
            32,
            5,
            ("relu", "lrn", "spatial_norm", "pool"),
            padding=(2, 2),
            groups=2,
            kernel_std=0.028,
            bias=1.0,
        ),
        Convolution(48, 3, ("relu",), padding=(1, 1), kernel_std=0.085),
        Convolution(48, 3, ("relu",), padding=(1, 1), groups=2, kernel_std=0.085, bias=1.0),
        Convolution(32, 3, ("pool", "relu"), padding=(1, 1), groups=2, kernel_std=0.085, bias=1.0),
    ),
    dense=(Dense(256, kernel_std=0.057), Dense(256, kernel_std=0.04)),
    output_std=0.04,
)

MODELS: dict[str, Spec] = {
    "original": ORIGINAL,
    "paper": PAPER,
    "single_tower": SINGLE_TOWER,
    "tiny": TINY,
}
