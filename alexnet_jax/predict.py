"""Print the five most probable classes of images.

  python -m alexnet_jax.predict --workdir=runs/imagenet cat.jpg dog.png

Uses the best checkpoint, unless --checkpoint names another, and averages the probabilities of the
ten crops. If a file cannot be read, the others are classified, and the exit code is 2.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from alexnet_jax import command_line
from alexnet_jax.errors import UserError, print_error, printable

_WORKDIR = flags.DEFINE_string("workdir", "", "The folder of a trained run.")
_CHECKPOINT = command_line.define_checkpoint("Which checkpoint")


def main(arguments: Sequence[str]) -> None:
    """Classify the images that the arguments name."""
    if not arguments:
        raise UserError("name the images to classify: predict --workdir=DIR IMAGE ...")
    from alexnet_jax.training.inference import classify_images

    unread = 0
    paths = [Path(name) for name in arguments]
    for path, classes in classify_images(Path(_WORKDIR.value), paths, _CHECKPOINT.value):
        if isinstance(classes, str):
            unread += 1
            print_error(f"{path}: {classes}")
            continue
        print(printable(path))
        for name, probability in classes:
            print(f"  {probability:7.2%}  {printable(name)}")
    if unread:
        raise SystemExit(UserError.exit_code)


if __name__ == "__main__":
    command_line.run(main, required=("workdir",), prints_result=True)
