"""Evaluate trained networks on the validation split or another, every image once.

  python -m alexnet_jax.evaluate --workdir=runs/imagenet
  python -m alexnet_jax.evaluate --workdir=runs/a --workdir=runs/b --views=center
  python -m alexnet_jax.evaluate --workdir=runs/imagenet --by_class
  python -m alexnet_jax.evaluate --workdir=runs/imagenet2010 --split=test
  python -m alexnet_jax.evaluate --workdir=runs/imagenet --out=probabilities.npz --json

Uses the best checkpoint of each workdir, unless --checkpoint names another, and averages the
probabilities of several workdirs. Tables have errors in percent, the JSON object has
fractions.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from alexnet_jax import cli
from alexnet_jax.system.process import restart_with_huge_pages

if TYPE_CHECKING:
    from alexnet_jax.prediction.inference import Evaluation

_WORKDIR = flags.DEFINE_multi_string("workdir", [], "A run's folder; may be given several times.")
_CHECKPOINT = cli.define_checkpoint("Which checkpoint of each workdir")
cli.define_recipe()
_VIEWS = flags.DEFINE_enum(
    "views",
    "ten_crop",
    ["center", "ten_crop"],
    "The crops of an image whose probabilities are averaged.",
)
_SPLIT = flags.DEFINE_string(
    "split", "validation", "The split of the data set; imagenet2010 has test, too."
)
_DATA_DIR = flags.DEFINE_string("data_dir", "", "The folder of the data set, if it has moved.")
_BY_CLASS = flags.DEFINE_bool("by_class", False, "Also print the errors of each class.")
_OUT = flags.DEFINE_string(
    "out", "", "A .npz file for the probabilities of every image, and the labels."
)
_JSON = flags.DEFINE_bool("json", False, "Print one JSON object instead of tables.")


def main(arguments: Sequence[str]) -> None:
    """Evaluate the workdirs that the flags name."""
    cli.refuse_arguments(arguments)
    from alexnet_jax.prediction.inference import evaluate_workdirs_by_view
    from alexnet_jax.system.output_file import check_output

    out = Path(_OUT.value) if _OUT.value else None
    if out is not None:
        check_output(out, [".npz"])
    evaluation = evaluate_workdirs_by_view(
        _WORKDIR.value,
        _VIEWS.value,
        _DATA_DIR.value or None,
        _CHECKPOINT.value,
        _SPLIT.value,
        keep_probabilities=out is not None,
        notes=sys.stderr if _JSON.value else None,
    )
    if out is not None:
        _save(evaluation, out)
    print(json.dumps(_values(evaluation)) if _JSON.value else _tables(evaluation))


def _save(evaluation: "Evaluation", path: Path) -> None:
    """Write the probabilities of the chosen views as plain arrays, which need no pickle."""
    import numpy as np

    from alexnet_jax.system.output_file import output_file

    evaluated = evaluation.by_view[_VIEWS.value]
    assert evaluated.probabilities is not None, "they were asked for"
    with output_file(path) as unfinished, unfinished.open("wb") as file:
        np.savez(
            file,
            probabilities=evaluated.probabilities,
            labels=evaluated.labels,
            class_names=np.array(evaluation.class_names),
        )
    print(f"{path}: the probabilities of {len(evaluated.labels):,} images", file=sys.stderr)


def _tables(evaluation: "Evaluation") -> str:
    from alexnet_jax.data.imagenet.names import describe_class
    from alexnet_jax.errors import printable
    from alexnet_jax.prediction.by_class import errors_by_class, format_by_class
    from alexnet_jax.runs.results import format_scores

    table = format_scores({kind: each.scores for kind, each in evaluation.by_view.items()})
    if not _BY_CLASS.value:
        return table
    evaluated = evaluation.by_view[_VIEWS.value]
    names = [printable(describe_class(name)) for name in evaluation.class_names]
    by_class = format_by_class(errors_by_class(evaluated.labels, evaluated.predicted), names)
    return f"{table}\n\nby class, {_VIEWS.value}\n{by_class}"


def _values(evaluation: "Evaluation") -> dict[str, Any]:
    """Return the content of the JSON object."""
    from alexnet_jax.data.imagenet.names import english_name
    from alexnet_jax.prediction.by_class import errors_by_class

    values: dict[str, Any] = {
        "workdirs": _WORKDIR.value,
        "data": evaluation.data,
        "split": _SPLIT.value,
        "views": _VIEWS.value,  # Of the errors by class.
        **{kind: evaluated.scores for kind, evaluated in evaluation.by_view.items()},
    }
    if not _BY_CLASS.value:
        return values
    evaluated, names = evaluation.by_view[_VIEWS.value], evaluation.class_names
    values["by_class"] = [
        {
            "label": each.label,
            "class": names[each.label],
            "name": english_name(names[each.label]),
            "count": each.count,
            "top1_error": each.top1_error,
            "confused_with": None if each.confused_with is None else names[each.confused_with],
            "confused": each.confused,
        }
        for each in errors_by_class(evaluated.labels, evaluated.predicted)
    ]
    return values


if __name__ == "__main__":
    restart_with_huge_pages()
    cli.run(main, required=("workdir",), prints_result=True)
