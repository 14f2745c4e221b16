"""The formats by name."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from alexnet_jax.errors import UserError
from alexnet_jax.weights.bundle import Bundle
from alexnet_jax.weights.caffe import import_caffe
from alexnet_jax.weights.own import export_own, import_own
from alexnet_jax.weights.stablehlo import export_stablehlo
from alexnet_jax.weights.torchvision import export_torchvision, import_torchvision

_T = TypeVar("_T")

_IMPORTS: dict[str, Callable[[Path, str | None, int | None], Bundle]] = {
    "torchvision": import_torchvision,
    "safetensors": import_own,
    "caffe": import_caffe,
}
_EXPORTS: dict[str, Callable[[Bundle, Path], None]] = {
    "torchvision": export_torchvision,
    "safetensors": export_own,
    "stablehlo": export_stablehlo,
}


def import_weights(
    path: str | Path, format: str, model_name: str | None = None, num_classes: int | None = None
) -> Bundle:
    """Read a network from a file of another program, or of ours.

    Args:
        path: the file.
        format: "torchvision" (.pth or .safetensors with torchvision's names), "caffe" (.caffemodel
            of BVLC AlexNet or CaffeNet) or "safetensors" (ours).
        model_name: the network that it should hold; None: torchvision's `owt`, or what it says.
        num_classes: what its output should tell apart; None for as many as it does.

    Returns:
        Parameters as linen has them, their preprocessing and their classes:

            bundle = import_weights("alexnet-owt-7be5be79.pth", "torchvision")
            crops = bundle.preprocessing(images)  # uint8 [B, 224, 224, 3]
            logits = bundle.model.apply(bundle.variables, crops, train=False)

    Raises:
        UserError: the file is damaged, or is not that network to the last tensor.
    """
    return _choose(_IMPORTS, format, "import")(Path(path), model_name, num_classes)


def export_weights(bundle: Bundle, path: str | Path, format: str) -> None:
    """Write a network for another program, or for ours.

    Args:
        bundle: from `import_weights`, or `read_workdir` of a trained run.
        path: the file.
        format: "torchvision" (.safetensors with torchvision's names; network `owt` only),
            "safetensors" (ours, everything in it) or "stablehlo" (a program for `jax.export`).

    Raises:
        UserError: the format cannot hold the network, or the file cannot be written.
    """
    _choose(_EXPORTS, format, "export")(bundle, Path(path))


def _choose(known: Mapping[str, Callable[..., _T]], format: str, verb: str) -> Callable[..., _T]:
    if format not in known:
        raise UserError(f"{verb} knows no format {format!r}; the known ones: {', '.join(known)}")
    return known[format]
