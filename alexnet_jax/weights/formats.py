"""Import and export by name of the format."""

from collections.abc import Sequence
from pathlib import Path

from alexnet_jax.errors import UserError
from alexnet_jax.weights.bundle import Bundle
from alexnet_jax.weights.caffe import import_caffe
from alexnet_jax.weights.own import export_own, import_own
from alexnet_jax.weights.stablehlo import export_program
from alexnet_jax.weights.torchvision import export_torchvision, import_torchvision


def import_weights(
    path: str | Path,
    format: str,
    model_name: str | None = None,
    num_classes: int | None = None,
    bgr_mean: Sequence[float] | None = None,
) -> Bundle:
    """Read a network from a file.

    Args:
        path: File to read.
        format: "torchvision" (.pth or .safetensors with torchvision's names), "caffe" (.caffemodel
            of BVLC AlexNet or CaffeNet) or "safetensors" (ours).
        model_name: Network that the file must hold; None for `owt` from torchvision, and for any
            from the others.
        num_classes: Number of classes that the file must have; None for any.
        bgr_mean: Mean pixel, for "caffe"; None for Caffe's own.

    Returns:
        Parameters as in linen, with their preprocessing and their class names:

            bundle = import_weights("alexnet-owt-7be5be79.pth", "torchvision")
            crops = bundle.preprocessing(images)  # uint8 [B, 224, 224, 3]
            logits = bundle.model.apply(bundle.variables, crops, train=False)

    Raises:
        UserError: the file is damaged, or does not hold exactly that network.
    """
    path = Path(path)
    if bgr_mean is not None and format != "caffe":
        raise UserError(f"--mean is for --format=caffe; {format} files have their own")
    match format:
        case "torchvision":
            bundle = import_torchvision(path, model_name)
        case "safetensors":
            bundle = import_own(path)
        case "caffe":
            bundle = import_caffe(path, bgr_mean)
        case _:
            known = "torchvision, safetensors, caffe"
            raise UserError(f"import knows no format {format!r}; the known ones: {known}")
    if model_name not in (None, bundle.model_name):
        raise UserError(f"{path} holds network {bundle.model_name!r}, not {model_name!r}")
    found = len(bundle.class_names)
    if num_classes not in (None, found):
        way_out = f"import it with {found}, then fine-tune it"
        raise UserError(f"{path} has {found} classes, not {num_classes}; {way_out}")
    return bundle


def export_weights(bundle: Bundle, path: str | Path, format: str) -> None:
    """Write a network to a file.

    Args:
        bundle: Bundle from `import_weights`, or from `read_workdir`.
        path: File to write.
        format: "torchvision" (.safetensors with torchvision's names; network `owt` only),
            "safetensors" (ours, complete) or "stablehlo" (a program for `jax.export`).

    Raises:
        UserError: the format cannot hold the network, or the file cannot be written.
    """
    match format:
        case "torchvision":
            export_torchvision(bundle, Path(path))
        case "safetensors":
            export_own(bundle, Path(path))
        case "stablehlo":
            export_program(bundle, Path(path))
        case _:
            known = "torchvision, safetensors, stablehlo"
            raise UserError(f"export knows no format {format!r}; the known ones: {known}")
