"""Named modifications of a network: what the paper's claims leave out or swap.

Each takes a table and returns a changed copy; several apply one after the other.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from alexnet_jax.errors import UserError
from alexnet_jax.models.spec import Convolution, Pooling, Spec

_NORMS = ("lrn", "spatial_norm", "batch_norm")


def apply_modifications(spec: Spec, names: Sequence[str]) -> Spec:
    """Apply the modifications called `names`, in order; UserError lists the known ones."""
    if names and spec.module is not None:
        raise UserError(f"model.modifications={tuple(names)} need a network that is a table")
    for name in names:
        if name not in MODIFICATIONS:
            raise UserError(f"no modification {name!r}; the known ones: {', '.join(MODIFICATIONS)}")
        spec = MODIFICATIONS[name](spec)
    return spec


def ungroup(spec: Spec) -> Spec:
    """Let all kernels see all channels."""
    convolutions = tuple(replace(layer, groups=1) for layer in spec.convolutions)
    return replace(spec, convolutions=convolutions, columns=1)


def keep_one_column(spec: Spec) -> Spec:
    """Keep half the kernels, which see all channels; the last convolution keeps all of its own.

    This is `layers-145-half.cfg` of the 2012 code. Paper §3.2 compares with such a network.
    """
    *lower, last = ungroup(spec).convolutions
    halved = (replace(layer, features=layer.features // 2) for layer in lower)
    return replace(spec, convolutions=(*halved, last), columns=1)


def _reorder(spec: Spec, moved: str, other: str, after: bool) -> Spec:
    """Put operation `moved` right before or right after `other`, where a layer has both."""

    def move(layer: Convolution) -> Convolution:
        if moved not in layer.after or other not in layer.after:
            return layer
        rest = [operation for operation in layer.after if operation != moved]
        rest.insert(rest.index(other) + after, moved)
        return replace(layer, after=tuple(rest))

    return replace(spec, convolutions=tuple(map(move, spec.convolutions)))


def _separate_columns(spec: Spec) -> Spec:
    """Let the columns meet only at the output (code, run 150).

    There conv2 has 160 kernels a column and fc6 4096 units a column, each on its own column's maps,
    to make up for the kernels that no longer look across.
    """
    conv1, conv2, *others = spec.convolutions
    conv2 = replace(conv2, features=conv2.features * 5 // 4)
    fc6, fc7 = spec.dense
    dense = replace(fc6, features=2 * fc6.features, groups=2), replace(fc7, groups=2)
    separate = (replace(layer, groups=2) for layer in (conv2, *others))
    return replace(spec, convolutions=(conv1, *separate), dense=dense)


def _leave_out_convolution(spec: Spec, number: int) -> Spec:
    """Take conv`number` out but not its pooling, so that later maps keep their size (paper §7)."""
    *lower, below, left_out = spec.convolutions[:number]
    if "pool" in left_out.after:
        below = replace(below, after=(*below.after, "pool"))
    return replace(spec, convolutions=(*lower, below, *spec.convolutions[number:]))


def _leave_out_norms(spec: Spec, number: int) -> Spec:
    """Take all normalization out of conv`number` alone (code, run 167)."""
    convolutions = list(spec.convolutions)
    convolutions[number - 1] = _without_norms(convolutions[number - 1])
    return replace(spec, convolutions=tuple(convolutions))


def _normalize_batches(spec: Spec) -> Spec:
    """Put batch normalization right after each convolution, in place of the norms of 2012.

    You, Gitman and Ginsburg changed AlexNet this way (nvcaffe,
    models/alexnet_bn/train_val.prototxt). Fully connected layers are unchanged.
    """
    convolutions = tuple(_without_norms(layer, "batch_norm") for layer in spec.convolutions)
    return replace(spec, convolutions=convolutions)


def _without_norms(layer: Convolution, *first: str) -> Convolution:
    return replace(layer, after=(*first, *(name for name in layer.after if name not in _NORMS)))


def _initialize(spec: Spec, stds: tuple[float, ...], dense_std: float, bias: float) -> Spec:
    """Give each layer a Gaussian, repeating the last of `stds`, and `bias` for biases not 0."""
    stds += stds[-1:] * (len(spec.convolutions) - len(stds))
    return replace(
        spec,
        convolutions=tuple(
            replace(layer, kernel_std=std, bias=bias if layer.bias else 0.0)
            for layer, std in zip(spec.convolutions, stds, strict=False)
        ),
        dense=tuple(replace(layer, kernel_std=dense_std, bias=bias) for layer in spec.dense),
        initialization="gaussian",
        output_std=0.01,
    )


def _zero_biases(spec: Spec) -> Spec:
    return replace(
        spec,
        convolutions=tuple(replace(layer, bias=0.0) for layer in spec.convolutions),
        dense=tuple(replace(layer, bias=0.0) for layer in spec.dense),
    )


MODIFICATIONS: dict[str, Callable[[Spec], Spec]] = {
    "no_lrn": partial(replace, normalization=None),
    "no_spatial_norm": partial(replace, spatial_normalization=None),
    "no_conv2_norms": partial(_leave_out_norms, number=2),
    "lrn_before_activation": partial(_reorder, moved="lrn", other="activation", after=False),
    "lrn_after_activation": partial(_reorder, moved="lrn", other="activation", after=True),
    "lrn_before_pool": partial(_reorder, moved="lrn", other="pool", after=False),
    "lrn_after_pool": partial(_reorder, moved="lrn", other="pool", after=True),
    "batch_norm": _normalize_batches,
    "no_overlap": partial(replace, pooling=Pooling(window=2, stride=2)),
    "no_groups": ungroup,
    "one_column": keep_one_column,
    "separate_columns": _separate_columns,
    "tanh": partial(replace, activation="tanh"),
    "no_dropout": partial(replace, dropout=None),
    **{f"without_conv{n}": partial(_leave_out_convolution, number=n) for n in range(2, 6)},
    "init_original": partial(_initialize, stds=(0.01, 0.01, 0.03), dense_std=0.01, bias=1.0),
    "init_paper": partial(_initialize, stds=(0.01,), dense_std=0.01, bias=1.0),
    "init_caffe": partial(_initialize, stds=(0.01,), dense_std=0.005, bias=0.1),
    "init_he": partial(replace, initialization="he"),
    "zero_biases": _zero_biases,
}
