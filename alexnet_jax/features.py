"""Save the activations of a trained network's layers for images.

  python -m alexnet_jax.features --workdir=runs/imagenet --layers=fc7 photos/ --out=photos.npz
  python -m alexnet_jax.features --workdir=runs/imagenet --layers=fc6,conv5 a.jpg --out=a.npz

Activations are those of the center crop, after each layer's nonlinearity. The file holds a float32
array for each layer, and the paths of the images. A folder stands for all images below it, "-" for
the paths on standard input. A file that cannot be read is named on standard error and left out, and
the exit code is 2.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from alexnet_jax import cli
from alexnet_jax.errors import UserError, print_error
from alexnet_jax.system.process import restart_with_huge_pages

if TYPE_CHECKING:
    from alexnet_jax.prediction.features import Features

_WORKDIR = flags.DEFINE_string("workdir", "", "The folder of a run or of imported weights.")
_CHECKPOINT = cli.define_checkpoint("Which checkpoint")
cli.define_recipe()
_LAYERS = flags.DEFINE_list("layers", [], "Names of layers, such as conv5 and fc7.")
_OUT = flags.DEFINE_string("out", "", "The file to write, .npz or .safetensors.")


def main(arguments: Sequence[str]) -> None:
    """Save the activations for the images that the arguments name."""
    if not arguments:
        raise UserError("name images, folders or -: features --workdir=DIR … IMAGE|FOLDER|- ...")
    from alexnet_jax.prediction.feature_file import check_feature_file, write_features
    from alexnet_jax.prediction.features import extract, make_extractor
    from alexnet_jax.prediction.image_paths import count_images, find_images

    out = Path(_OUT.value)
    check_feature_file(out)
    count = count_images(arguments)
    extractor = make_extractor(Path(_WORKDIR.value), _LAYERS.value, _CHECKPOINT.value)
    unread: list[Path] = []
    parts = _follow(extract(extractor, find_images(arguments, sys.stdin.buffer)), count, unread)
    written = write_features(out, extractor.shapes, parts)
    layers = ", ".join(
        f"{layer} [{', '.join(map(str, (written, *shape)))}]"
        for layer, shape in extractor.shapes.items()
    )
    print(f"{out}: {layers}, {out.stat().st_size / 1e6:,.1f} MB")
    if unread:
        raise SystemExit(UserError.exit_code)


def _follow(
    parts: "Iterator[Features]", count: int | None, unread: list[Path]
) -> "Iterator[Features]":
    """Show the progress, and name the images that cannot be read and add them to `unread`."""
    from alexnet_jax.system.progress import Progress

    progress = nullcontext() if count is None else Progress("computing features", count, "images")
    with progress as shown:
        for part in parts:
            for path, problem in part.problems:
                print_error(f"{path}: {problem}")
                unread.append(path)
            if shown is not None:
                shown.advance(len(part.paths) + len(part.problems))
            yield part


if __name__ == "__main__":
    restart_with_huge_pages()
    cli.run(main, required=("workdir", "layers", "out"), prints_result=True)
