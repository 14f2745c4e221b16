"""Named modifications of a network: what the paper's claims are tested by leaving out or swapping.

Each takes a table and returns one with other fields; several apply one after the other.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from alexnet_jax.errors import UserError
from alexnet_jax.models.spec import Convolution, Dense, Pooling, Spec

Modification = Callable[[Spec], Spec]

_NORMS = ("lrn", "spatial_norm", "batch_norm")


def apply_modifications(spec: Spec, names: Sequence[str]) -> Spec:
    """Apply the modifications called `names`, in order; UserError lists the known ones."""
    for name in names:
        if name not in MODIFICATIONS:
            raise UserError(f"no change {name!r}; the known ones: {', '.join(MODIFICATIONS)}")
        spec = MODIFICATIONS[name](spec)
    return spec


def _reorder(spec: Spec, moved: str, other: str, after: bool) -> Spec:
    """Put operation `moved` right before or right after `other`, where a layer has both."""

    def move(layer: Convolution) -> Convolution:
        if moved not in layer.after or other not in layer.after:
            return layer
        rest = [operation for operation in layer.after if operation != moved]
        rest.insert(rest.index(other) + after, moved)
        return replace(layer, after=tuple(rest))

    return replace(spec, convolutions=tuple(map(move, spec.convolutions)))


def _ungroup(spec: Spec) -> Spec:
    convolutions = tuple(replace(layer, groups=1) for layer in spec.convolutions)
    return replace(spec, convolutions=convolutions, columns=1)


def _separate_columns(spec: Spec) -> Spec:
    """Let the columns meet only at the output (code, run 150).

    There conv2 has 160 kernels a column and fc6 4096 units a column, each on its own column's maps,
    to make up for the kernels that no longer look across.
    """
    conv1, conv2, *others = spec.convolutions
    separate = [replace(layer, groups=2) for layer in others]
    conv2 = replace(conv2, features=conv2.features * 5 // 4, groups=2)
    fc6, fc7 = spec.dense
    return replace(
        spec,
        convolutions=(conv1, conv2, *separate),
        dense=(replace(fc6, features=2 * fc6.features, groups=2), replace(fc7, groups=2)),
    )


def _leave_out_convolution(spec: Spec, number: int) -> Spec:
    """Take conv`number` out but not its pooling, so that later maps keep their size (paper §7)."""
    below, left_out = spec.convolutions[number - 2 : number]
    if "pool" in left_out.after:
        below = replace(below, after=(*below.after, "pool"))
    kept = (*spec.convolutions[: number - 2], below, *spec.convolutions[number:])
    return replace(spec, convolutions=kept)


def _leave_out_norms(spec: Spec, number: int) -> Spec:
    """Take all normalisation out of conv`number` alone (code, run 167)."""
    convolutions = list(spec.convolutions)
    layer = convolutions[number - 1]
    kept = tuple(name for name in layer.after if name not in _NORMS)
    convolutions[number - 1] = replace(layer, after=kept)
    return replace(spec, convolutions=tuple(convolutions))


def _normalize_batches(spec: Spec) -> Spec:
    """Put batch normalisation right after each convolution, in place of the norms of 2012.

    So You, Gitman and Ginsburg changed AlexNet (nvcaffe, models/alexnet_bn/train_val.prototxt);
    fully connected layers stay as they are.
    """

    def change(layer: Convolution) -> Convolution:
        kept = (name for name in layer.after if name not in _NORMS)
        return replace(layer, after=("batch_norm", *kept))

    return replace(spec, convolutions=tuple(map(change, spec.convolutions)))


def _initialize(spec: Spec, stds: tuple[float, ...], dense_std: float, bias: float) -> Spec:
    """Give each layer a Gaussian and `bias`, where the table has a bias that is not 0."""

    def start(layer: Convolution, std: float) -> Convolution:
        return replace(layer, kernel_std=std, bias=bias if layer.bias else 0.0)

    def start_dense(layer: Dense) -> Dense:
        return replace(layer, kernel_std=dense_std, bias=bias)

    padded = stds + stds[-1:] * (len(spec.convolutions) - len(stds))
    convolutions = tuple(map(start, spec.convolutions, padded))
    return replace(
        spec,
        convolutions=convolutions,
        dense=tuple(map(start_dense, spec.dense)),
        initialization="gaussian",
        output_std=0.01,
    )


MODIFICATIONS: dict[str, Modification] = {
    "no_lrn": partial(replace, normalization=None),
    "no_spatial_norm": partial(replace, spatial_normalization=None),
    "no_conv2_norms": partial(_leave_out_norms, number=2),
    "lrn_before_activation": partial(_reorder, moved="lrn", other="activation", after=False),
    "lrn_after_activation": partial(_reorder, moved="lrn", other="activation", after=True),
    "lrn_before_pool": partial(_reorder, moved="lrn", other="pool", after=False),
    "lrn_after_pool": partial(_reorder, moved="lrn", other="pool", after=True),
    "batch_norm": _normalize_batches,
    "no_overlap": partial(replace, pooling=Pooling(window=2, stride=2)),
    "no_groups": _ungroup,
    "separate_columns": _separate_columns,
    "tanh": partial(replace, activation="tanh"),
    "no_dropout": partial(replace, dropout=None),
    "without_conv2": partial(_leave_out_convolution, number=2),
    "without_conv3": partial(_leave_out_convolution, number=3),
    "without_conv4": partial(_leave_out_convolution, number=4),
    "without_conv5": partial(_leave_out_convolution, number=5),
    "init_original": partial(_initialize, stds=(0.01, 0.01, 0.03), dense_std=0.01, bias=1.0),
    "init_paper": partial(_initialize, stds=(0.01,), dense_std=0.01, bias=1.0),
    "init_caffe": partial(_initialize, stds=(0.01,), dense_std=0.005, bias=0.1),
    "init_he": partial(replace, initialization="he"),
}
