"""Import trained weights from other programs, or export them.

  python -m alexnet_jax.weights import --format=torchvision alexnet.pth --workdir=runs/owt
  python -m alexnet_jax.weights import --format=caffe bvlc_alexnet.caffemodel --workdir=runs/caffe
  python -m alexnet_jax.weights export --format=safetensors --workdir=runs/owt owt.safetensors

import creates a workdir, which evaluate and predict read, and from which training can start.
Formats: torchvision (.pth, which needs PyTorch, or .safetensors), caffe (.caffemodel of BVLC
AlexNet and CaffeNet), safetensors (ours).

export reads the checkpoint that --checkpoint names. Formats: torchvision (.safetensors, network owt
only), safetensors (ours), stablehlo (a program for jax.export).
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from alexnet_jax import cli
from alexnet_jax.errors import UserError

_FORMAT = flags.DEFINE_enum(
    "format", None, ["torchvision", "caffe", "safetensors", "stablehlo"], "Format of the file."
)
_WORKDIR = flags.DEFINE_string("workdir", "", "The folder that import creates and export reads.")
_CHECKPOINT = cli.define_checkpoint("export: which checkpoint")
cli.define_recipe()
_MODEL = flags.DEFINE_string(
    "model", None, "import: the network that the file must hold; others are refused."
)
_NUM_CLASSES = flags.DEFINE_integer(
    "num_classes", None, "import: the number of classes that the file must have."
)
_MEAN = flags.DEFINE_list(
    "mean", None, "import --format=caffe: the mean pixel, blue,green,red. Unset: 104,117,123."
)


def main(arguments: Sequence[str]) -> None:
    """Import or export, as the first argument says."""
    if len(arguments) != 2 or arguments[0] not in ("import", "export"):
        raise UserError(
            "give import or export, then one file: "
            "python -m alexnet_jax.weights import --format=torchvision FILE --workdir=DIR"
        )
    verb, path, workdir = arguments[0], Path(arguments[1]), Path(_WORKDIR.value)
    for other, holders in {
        "export": [_CHECKPOINT],
        "import": [_MODEL, _NUM_CLASSES, _MEAN],
    }.items():
        for holder in holders:
            if verb != other and holder.value is not None:
                raise UserError(f"--{holder.name} is for {other}")
    if verb == "import":
        _import(path, workdir)
    else:
        _export(path, workdir)


def _import(path: Path, workdir: Path) -> None:
    from alexnet_jax.weights import import_weights, write_workdir

    mean = None if _MEAN.value is None else _parse_mean(_MEAN.value)
    bundle = import_weights(path, str(_FORMAT.value), _MODEL.value, _NUM_CLASSES.value, mean)
    write_workdir(bundle, workdir)
    print(
        f"{workdir}: network {bundle.model_name!r}, {len(bundle.class_names)} classes; next: "
        f"python -m alexnet_jax.predict --workdir={workdir} IMAGE"
    )


def _export(path: Path, workdir: Path) -> None:
    from alexnet_jax.weights import export_weights, read_workdir
    from alexnet_jax.weights.torchvision import has_torchvision_input

    bundle = read_workdir(workdir, _CHECKPOINT.value)
    export_weights(bundle, path, str(_FORMAT.value))
    print(f"{path}: {path.stat().st_size / 1e6:,.1f} MB, network {bundle.model_name!r}")
    if _FORMAT.value == "torchvision" and not has_torchvision_input(bundle):
        print("note: its input is not torchvision's; see the file's metadata and docs/weights.md")


def _parse_mean(texts: list[str]) -> list[float]:
    try:
        blue, green, red = map(float, texts)
    except ValueError:
        given = ",".join(texts)
        raise UserError(f"--mean={given} should be three numbers: blue,green,red") from None
    return [blue, green, red]


if __name__ == "__main__":
    cli.run(main, required=("format", "workdir"))
