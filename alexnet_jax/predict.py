"""Print the most probable classes of images.

  python -m alexnet_jax.predict --workdir=runs/imagenet cat.jpg dog.png
  python -m alexnet_jax.predict --workdir=runs/imagenet photos/ --json > predictions.jsonl
  find photos -name '*.jpg' | python -m alexnet_jax.predict --workdir=runs/imagenet --csv -
  python -m alexnet_jax.predict --workdir=runs/imagenet photos/ --figure=photos.png
  python -m alexnet_jax.predict --weights=alexnet.pth --format=torchvision cat.jpg
  python -m alexnet_jax.predict --program=alexnet.stablehlo cat.jpg

A folder stands for all images below it, "-" for the paths on standard input, one a line. The
network comes from a workdir (its best checkpoint, unless --checkpoint names another), a file of
weights, or a program that `weights export --format=stablehlo` wrote. A file that cannot be read is
named on standard error, the others are classified, and the exit code is 2.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from absl import flags

from alexnet_jax import cli
from alexnet_jax.errors import UserError, print_error, printable
from alexnet_jax.system.console import output_error
from alexnet_jax.system.process import restart_with_huge_pages

if TYPE_CHECKING:
    from alexnet_jax.prediction.classification import Prediction
    from alexnet_jax.prediction.classifier import Classifier

_WORKDIR = flags.DEFINE_string("workdir", "", "The folder of a run or of imported weights.")
_CHECKPOINT = cli.define_checkpoint("--workdir: which checkpoint")
cli.define_recipe()
_WEIGHTS = flags.DEFINE_string("weights", "", "A file of weights, with --format.")
_FORMAT = flags.DEFINE_enum(
    "format", None, ["torchvision", "caffe", "safetensors"], "Format of --weights."
)
_PROGRAM = flags.DEFINE_string("program", "", "A StableHLO program of `weights export`.")
_VIEWS = flags.DEFINE_enum(
    "views",
    None,
    ["center", "ten_crop"],
    "The crops of an image whose probabilities are averaged; --program can only center.",
)
_TOP = flags.DEFINE_integer("top", 5, "Classes of each image.", lower_bound=1)
_JSON = flags.DEFINE_bool("json", False, "Print a JSON object for each image, one a line.")
_CSV = flags.DEFINE_bool("csv", False, "Print a row of CSV for each class of each image.")
_FIGURE = flags.DEFINE_string(
    "figure", "", "A .png, .svg or .pdf file for the first images with their classes as bars."
)


def main(arguments: Sequence[str]) -> None:
    """Classify the images that the arguments name."""
    if not arguments:
        raise UserError("name images, folders or -: predict --workdir=DIR IMAGE|FOLDER|- ...")
    if _JSON.value and _CSV.value:
        raise UserError("give --json or --csv, not both")
    _check_source()
    from alexnet_jax.prediction.classification import classify
    from alexnet_jax.prediction.classifier import choose_views
    from alexnet_jax.prediction.figure import MOST_IMAGES, check_figure
    from alexnet_jax.prediction.image_paths import count_images, find_images

    if _FIGURE.value:
        check_figure(Path(_FIGURE.value))
    count = count_images(arguments)
    notes = sys.stderr if _JSON.value or _CSV.value else sys.stdout
    classifier = _load(notes)
    views = choose_views(classifier, _VIEWS.value)
    print(printable(classifier.knowledge), file=notes, flush=True)
    paths = find_images(arguments, sys.stdin.buffer)
    shown: list[Prediction] = []  # In the figure.
    read = unread = 0
    for prediction in _print(classify(classifier, paths, views, _TOP.value), classifier, count):
        if prediction.problem:
            unread += 1
            continue
        read += 1
        if _FIGURE.value and len(shown) < MOST_IMAGES:
            shown.append(prediction)
    if shown:
        _draw(shown, read, classifier)
    if unread:
        raise SystemExit(UserError.exit_code)


def _check_source() -> None:
    sources = {"workdir": _WORKDIR, "weights": _WEIGHTS, "program": _PROGRAM}
    given = [f"--{name}" for name, holder in sources.items() if holder.value]
    if len(given) != 1:
        found = f", not {' and '.join(given)}" if given else ""
        raise UserError(f"give one of --workdir, --weights and --program{found}")
    if bool(_WEIGHTS.value) != bool(_FORMAT.value):
        raise UserError(
            "--weights needs --format=torchvision, caffe or safetensors, and vice versa"
        )
    if _CHECKPOINT.value and not _WORKDIR.value:
        raise UserError("--checkpoint is for --workdir")


def _load(notes: TextIO) -> "Classifier":
    from alexnet_jax.prediction.classifier import from_program, from_weights, from_workdir

    if _WEIGHTS.value:
        return from_weights(Path(_WEIGHTS.value), str(_FORMAT.value))
    if _PROGRAM.value:
        return from_program(Path(_PROGRAM.value))
    return from_workdir(Path(_WORKDIR.value), _CHECKPOINT.value, notes)


def _print(
    predictions: "Iterator[Prediction]", classifier: "Classifier", count: int | None
) -> "Iterator[Prediction]":
    """Print each prediction, then yield it; `count` is their number, where it is known."""
    from alexnet_jax.prediction.output import CSV_HEADER, as_csv, as_json, as_text
    from alexnet_jax.system.progress import Progress

    convert = as_json if _JSON.value else as_csv if _CSV.value else as_text
    if _CSV.value:
        print(CSV_HEADER)
    # On a terminal the predictions show the progress.
    follow = count is not None and not sys.stdout.isatty()
    with Progress("classifying", count or 0, "images") if follow else nullcontext() as progress:
        for prediction in predictions:
            if prediction.problem:
                print_error(f"{prediction.path}: {prediction.problem}")
            if text := convert(prediction, classifier.class_names):
                print(text, flush=True)
            if output_error():  # As behind `| head`: nothing reads the rest.
                return
            if progress is not None:
                progress.advance(1)
            yield prediction


def _draw(shown: "Sequence[Prediction]", read: int, classifier: "Classifier") -> None:
    from alexnet_jax.prediction.figure import write_figure

    path = Path(_FIGURE.value)
    write_figure(shown, classifier.class_names, path, classifier.max_megapixels)
    more = f", the first of {read:,}" if read > len(shown) else ""
    images = "1 image" if len(shown) == 1 else f"{len(shown)} images"
    print(f"{path}: {images}{more}", file=sys.stderr)


if __name__ == "__main__":
    restart_with_huge_pages()
    cli.run(main, prints_result=True)
