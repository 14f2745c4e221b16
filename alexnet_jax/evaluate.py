"""Evaluate trained networks on the validation split, every image once.

  python -m alexnet_jax.evaluate --workdir=runs/imagenet
  python -m alexnet_jax.evaluate --workdir=runs/a --workdir=runs/b --views=center
  python -m alexnet_jax.evaluate --workdir=runs/imagenet --checkpoint=latest

Uses the best checkpoint of each workdir, unless --checkpoint names another, and averages the
probabilities of several workdirs.
"""

from collections.abc import Sequence

from absl import flags

from alexnet_jax import command_line
from alexnet_jax.process import restart_with_huge_pages

_WORKDIR = flags.DEFINE_multi_string("workdir", [], "A run's folder; may be given several times.")
_CHECKPOINT = command_line.define_checkpoint("Which checkpoint of each workdir")
_VIEWS = flags.DEFINE_enum(
    "views",
    "ten_crop",
    ["center", "ten_crop"],
    "The crops of an image whose probabilities are averaged.",
)
_DATA_DIR = flags.DEFINE_string("data_dir", "", "The folder of the data set, if it has moved.")


def main(arguments: Sequence[str]) -> None:
    """Evaluate the workdirs that the flags name."""
    command_line.refuse_arguments(arguments)
    from alexnet_jax.evaluation.metrics import format_scores
    from alexnet_jax.training.inference import evaluate_workdirs

    scores = evaluate_workdirs(
        _WORKDIR.value, _VIEWS.value, _DATA_DIR.value or None, _CHECKPOINT.value
    )
    print(format_scores(scores))


if __name__ == "__main__":
    restart_with_huge_pages()
    command_line.run(main, required=("workdir",), prints_result=True)
