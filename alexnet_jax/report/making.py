"""Making a report: read the runs, run the first one's network, write the page and its figures."""

import sys
from collections.abc import Sequence
from pathlib import Path

from alexnet_jax.errors import UserError
from alexnet_jax.report.charts import write_charts
from alexnet_jax.report.comparison import compare_sweep
from alexnet_jax.report.page import Report, chart_specs, render
from alexnet_jax.report.pictures import draw_network, take_pictures
from alexnet_jax.report.saved_run import read_run
from alexnet_jax.runs.trained import open_trained
from alexnet_jax.sweeps.trial_run import read_trials
from alexnet_jax.system.atomic_write import atomic_write
from alexnet_jax.system.disk_space import full_disk_reported


def make_report(
    workdirs: Sequence[Path],
    compare: Path | None = None,
    checkpoint: str | None = None,
    data_dir: str | None = None,
    images: int = 1000,
    training_images: int = 2000,
) -> Path:
    """Write a report and return the path of its page.

    Args:
        workdirs: Folders of runs; the report is written to the first, or to `compare` if there is
            none.
        compare: Folder of a sweep.
        checkpoint: Checkpoint of the first workdir, as for `load_trained`.
        data_dir: Folder of the first run's data set, if it has moved.
        images: Number of validation images to classify for the pictures.
        training_images: Number of training images among which the nearest ones are sought.

    Raises:
        UserError: a folder is no workdir, or holds no sweep, or no such checkpoint, or the disk is
            full.
    """
    folder = workdirs[0] if workdirs else Path(str(compare))
    comparison = None
    if compare is not None:
        comparison = compare_sweep(compare)
        workdirs = workdirs or [_find_baseline(compare)]
    report = Report([read_run(workdir) for workdir in workdirs], comparison)
    _add_pictures(report, checkpoint, data_dir, images, training_images)
    page, figures = folder / "report" / "index.html", folder / "report" / "figures"
    with full_disk_reported(folder, "the report"):
        figures.mkdir(parents=True, exist_ok=True)
        for name, drawing in report.drawings.items():
            drawing.write(figures, name)
        write_charts(chart_specs(report), figures)
        atomic_write(page, render(report))
    return page


def _find_baseline(sweep: Path) -> Path:
    """Return the finished trial of a sweep with the fewest overrides."""
    trials = read_trials(sweep)
    finished = [item for item in trials if (item[0] / "result.json").exists()] or trials
    return min(finished, key=lambda item: len(item[1]["overrides"]))[0]


def _add_pictures(
    report: Report,
    checkpoint: str | None,
    data_dir: str | None,
    images: int,
    training_images: int,
) -> None:
    """Add all that the network and the data allow.

    What is missing does not end the report: the page, and standard error, say why and what to do.
    """
    try:
        trained = open_trained(report.runs[0].workdir, checkpoint, data_dir)
    except UserError as error:
        if checkpoint is not None:
            raise  # A mistake in the command should not replace an earlier report.
        print(f"the report has no pictures: {error}", file=sys.stderr)
        report.no_network = report.no_pictures = f"The network cannot be loaded: {error}"
        return
    report.drawings = draw_network(trained)
    try:
        report.pictures = take_pictures(trained, images, training_images)
        report.drawings |= report.pictures.drawings
    except UserError as error:
        print(f"the report has no pictures: {error}", file=sys.stderr)
        name = trained.config.data.name
        report.no_pictures = f"They need the data set {name}: {error}. Then make the report again."
