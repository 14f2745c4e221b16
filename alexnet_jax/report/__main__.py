"""Make the report of runs: one HTML file with results, curves, pictures and mistakes.

  python -m alexnet_jax.report --workdir=runs/demo
  python -m alexnet_jax.report --workdir=runs/a --workdir=runs/b
  python -m alexnet_jax.report --compare=runs/ablations

Writes report/index.html, which opens without a network connection, and its figures as SVG and PNG,
into the first workdir. Several runs share the table of results and the curves; the pictures are
those of the first. --compare adds the differences between the trials of a sweep; without a workdir,
the pictures are those of its baseline.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from alexnet_jax import cli
from alexnet_jax.errors import UserError
from alexnet_jax.system.process import restart_with_huge_pages

_WORKDIR = flags.DEFINE_multi_string("workdir", [], "A run's folder; may be given several times.")
_COMPARE = flags.DEFINE_string("compare", None, "The folder of a sweep.")
_CHECKPOINT = cli.define_checkpoint("Which checkpoint of the first workdir")
cli.define_recipe()
_DATA_DIR = flags.DEFINE_string("data_dir", "", "The folder of the data set, if it has moved.")
_IMAGES = flags.DEFINE_integer(
    "images", 1000, "Validation images that are classified for the pictures.", lower_bound=1
)
_TRAINING_IMAGES = flags.DEFINE_integer(
    "training_images", 2000, "Training images among which the nearest are sought.", lower_bound=1
)


def main(arguments: Sequence[str]) -> None:
    """Make the report that the flags describe."""
    cli.refuse_arguments(arguments)
    if not _WORKDIR.value and not _COMPARE.value:
        raise UserError("give --workdir=DIR of a run, or --compare=DIR of a sweep")
    try:
        from alexnet_jax.report.making import make_report
    except ModuleNotFoundError as error:
        raise UserError(
            f"the report needs {error.name}: pip install 'alexnet-jax[report]' (in a clone: "
            "-e '.[report]')"
        ) from error

    path = make_report(
        [Path(workdir) for workdir in _WORKDIR.value],
        compare=Path(_COMPARE.value) if _COMPARE.value else None,
        checkpoint=_CHECKPOINT.value,
        data_dir=_DATA_DIR.value or None,
        images=_IMAGES.value,
        training_images=_TRAINING_IMAGES.value,
    )
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB; open it in a browser")


if __name__ == "__main__":
    restart_with_huge_pages()
    cli.run(main)
