"""Bring trained parameters in from other programs, and take ours out.

  python -m alexnet_jax.weights import --format=torchvision alexnet.pth --workdir=runs/owt
  python -m alexnet_jax.weights import --format=caffe bvlc_alexnet.caffemodel --workdir=runs/caffe
  python -m alexnet_jax.weights export --format=safetensors --workdir=runs/owt owt.safetensors

import makes a workdir that evaluate and predict read, and that training can start from. Formats:
torchvision (.pth, which needs PyTorch, or .safetensors), caffe (.caffemodel of BVLC AlexNet and
CaffeNet), safetensors (ours). export reads the checkpoint that --checkpoint names, the best unless
it is given. Formats: torchvision (.safetensors, network owt only), safetensors (ours), stablehlo (a
program for jax.export).
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from alexnet_jax import command_line
from alexnet_jax.errors import UserError

_FORMAT = flags.DEFINE_enum(
    "format", None, ["torchvision", "caffe", "safetensors", "stablehlo"], "Of the file."
)
_WORKDIR = flags.DEFINE_string("workdir", "", "The folder that import makes and export reads.")
_CHECKPOINT = command_line.define_checkpoint("export: which checkpoint")
_MODEL = flags.DEFINE_string(
    "model", None, "import: the network that the file should hold; others are refused."
)
_NUM_CLASSES = flags.DEFINE_integer(
    "num_classes", None, "import: how many classes it should tell; others are refused."
)
_MEAN = flags.DEFINE_list(
    "mean",
    None,
    "import --format=caffe: the mean pixel, blue,green,red. Unset: 104,117,123, as Caffe rounds "
    "ImageNet's.",
)


def main(arguments: Sequence[str]) -> None:
    """Import or export, as the first argument says."""
    if len(arguments) != 2 or arguments[0] not in ("import", "export"):
        raise UserError(
            "give import or export, then one file: "
            "python -m alexnet_jax.weights import --format=torchvision FILE --workdir=DIR"
        )
    verb, file = arguments
    if verb == "import":
        if _CHECKPOINT.value is not None:
            raise UserError("--checkpoint is for export")
        _import(Path(file), Path(_WORKDIR.value))
    else:
        _export(Path(file), Path(_WORKDIR.value))


def _import(path: Path, workdir: Path) -> None:
    from alexnet_jax.weights.formats import import_weights
    from alexnet_jax.weights.workdirs import write_workdir

    mean = _parse_mean(_MEAN.value)
    if mean is None:
        bundle = import_weights(path, str(_FORMAT.value), _MODEL.value, _NUM_CLASSES.value)
    elif _FORMAT.value == "caffe":
        from alexnet_jax.weights.caffe import import_caffe

        bundle = import_caffe(path, _MODEL.value, _NUM_CLASSES.value, mean)
    else:
        raise UserError(f"--mean is for --format=caffe; {_FORMAT.value} files have their own")
    write_workdir(bundle, workdir)
    print(
        f"{workdir}: network {bundle.model_name!r}, {len(bundle.class_names)} classes; next: "
        f"python -m alexnet_jax.predict --workdir={workdir} IMAGE"
    )


def _export(path: Path, workdir: Path) -> None:
    for flag in (_MODEL, _NUM_CLASSES, _MEAN):
        if flag.value is not None:
            raise UserError(f"--{flag.name} is for import")
    from alexnet_jax.weights.formats import export_weights
    from alexnet_jax.weights.torchvision import has_torchvision_input
    from alexnet_jax.weights.workdirs import read_workdir

    bundle = read_workdir(workdir, _CHECKPOINT.value)
    export_weights(bundle, path, str(_FORMAT.value))
    print(f"{path}: {path.stat().st_size / 1e6:,.1f} MB, network {bundle.model_name!r}")
    if _FORMAT.value == "torchvision" and not has_torchvision_input(bundle):
        print("note: its input is not torchvision's; the file's metadata tell it: docs/weights.md")


def _parse_mean(texts: list[str] | None) -> list[float] | None:
    if texts is None:
        return None
    try:
        mean = [float(text) for text in texts]
    except ValueError:
        mean = []
    if len(mean) != 3:
        raise UserError(f"--mean={','.join(texts)} should be three numbers: blue,green,red")
    return mean


if __name__ == "__main__":
    command_line.run(main, required=("format", "workdir"))
