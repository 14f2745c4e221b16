"""TensorBoard: curves, kernels, histograms and predictions of a run.

Two runs of TensorBoard, "train" and "validation", have the same tags, so that it draws the errors
of both on one card.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np
from jax.experimental import multihost_utils

from alexnet_jax.evaluation.metrics import METRICS
from alexnet_jax.evaluation.scoring import Predictor
from alexnet_jax.evaluation.views import CENTER
from alexnet_jax.monitoring.pictures import kernel_grid, prediction_sheet
from alexnet_jax.parallel.multihost import is_process_0
from alexnet_jax.system.process import import_without

_RUNS = {"center": "validation", "ten_crop": "validation_ten_crops"}  # By views.
# The number of seconds is TensorBoard's own axis, and epochs are steps of another length.
_NOT_PLOTTED = ("epoch", "seconds")
_GROUPS = {"images_per_second": "speed", "data_wait_fraction": "speed", "learning_rate": "schedule"}
_EXAMPLES = 8
_MOST_VALUES, _BINS = 100_000, 64  # Of a histogram: larger tensors are sampled.


class TensorBoard:
    """Writes event files to `WORKDIR/tensorboard`; in a cluster, process 0 does.

    Events of steps after `step` are from before and will be written again. `hyperparameters` are
    the keys of `config` by which TensorBoard's page HPARAMS compares runs.
    """

    def __init__(
        self,
        workdir: Path,
        step: int,
        config: Mapping[str, Any],
        hyperparameters: Sequence[str],
        class_names: Sequence[str],
    ) -> None:
        self._folder, self._purge_step = workdir / "tensorboard", step + 1
        self._class_names = class_names
        self._writers: dict[str, Any] = {}
        # tensorboardX would import PyTorch where that is installed, which takes 2 s.
        self._library = import_without("torch", "tensorboardX")
        rows = [f"| {key} | {value} |" for key, value in config.items()]
        self._writer("train").add_text("config", "\n".join(["| key | value |", "|-|-|", *rows]), 0)
        self._compare_by({key: _plain(config[key]) for key in hyperparameters})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for writer in self._writers.values():
            writer.close()

    def train(self, step: int, values: Mapping[str, float]) -> None:
        """Plot the means of a window of training steps."""
        self._plot("train", step, {k: v for k, v in values.items() if k not in _NOT_PLOTTED})

    def evaluation(self, step: int, views: str, scores: Mapping[str, float | int]) -> None:
        """Plot an evaluation."""
        self._plot(_RUNS[views], step, {name: scores[name] for name in METRICS})

    def watch(
        self, step: int, batches: Iterable[dict[str, jax.Array]], predictor: Predictor
    ) -> Iterator[dict[str, jax.Array]]:
        """Yield the batches of an evaluation; draw predictions for the first one's images."""
        for number, batch in enumerate(batches):
            if not number:
                self.predictions(step, batch, predictor(batch["image"], CENTER))
            yield batch

    def predictions(
        self, step: int, batch: Mapping[str, jax.Array], probabilities: jax.Array
    ) -> None:
        """Draw the predictions of the first validation images, which process 0 has.

        The first batch has "image", uint8 [B, S, S, 3], "label" and "mask", [B]; `probabilities`
        are float32 [B, classes].
        """
        columns = (batch["mask"], batch["image"], batch["label"], probabilities)
        # The same rows of each: those on the first device of this process.
        mask, images, labels, rows = (
            np.asarray(column.addressable_shards[0].data) for column in columns
        )
        shown = np.flatnonzero(mask)[:_EXAMPLES]
        if is_process_0() and shown.size:
            names = self._class_names
            sheet = prediction_sheet(images[shown], labels[shown], rows[shown], names)
            self._writer("validation").add_image("predictions", sheet, step, dataformats="HWC")

    def parameters(self, step: int, params: Any) -> None:
        """Draw conv1's kernels, and a histogram of each tensor, on all processes."""
        whole = multihost_utils.process_allgather(params, tiled=True)
        if not is_process_0():
            return
        writer = self._writer("train")
        leaves = {
            jax.tree_util.keystr(path, simple=True, separator="/"): leaf
            for path, leaf in jax.tree_util.tree_leaves_with_path(whole)
        }
        for name, leaf in leaves.items():
            self._histogram(writer, f"parameters/{name}", leaf.ravel(), step)
        # A network of one's own may have no convolution of three colors.
        kernels = leaves.get("conv1/kernel")
        if kernels is not None and kernels.ndim == 4 and kernels.shape[2] == 3:
            writer.add_image("kernels/conv1", kernel_grid(kernels), step, None, "HWC")

    def _histogram(self, writer: Any, name: str, values: np.ndarray, step: int) -> None:
        if len(values) > _MOST_VALUES:
            values = values[np.random.default_rng(0).integers(0, len(values), _MOST_VALUES)]
        values = values.astype(np.float64)
        counts, edges = np.histogram(values, _BINS)
        sums = float(values.sum()), float(np.square(values).sum())
        ends = float(values.min()), float(values.max())
        limits, buckets = edges[1:].tolist(), counts.tolist()
        writer.add_histogram_raw(name, *ends, len(values), *sums, limits, buckets, step)

    def _plot(self, run: str, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer(run).add_scalar(_tag(name), value, step)

    def _compare_by(self, hyperparameters: Mapping[str, Any]) -> None:
        writer = self._writer("validation")
        experiment, start, _ = import_without("torch", "tensorboardX.summary").hparams(
            hyperparameters, dict.fromkeys(map(_tag, METRICS))
        )
        writer.file_writer.add_summary(experiment)
        writer.file_writer.add_summary(start)

    def _writer(self, run: str) -> Any:
        if run not in self._writers:
            self._writers[run] = self._library.SummaryWriter(
                str(self._folder / run), purge_step=self._purge_step, write_to_disk=is_process_0()
            )
        return self._writers[run]


def _tag(name: str) -> str:
    """Return the tag of a number: TensorBoard has a section for what stands before the slash."""
    return f"{_GROUPS.get(name, 'metrics')}/{name}"


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) else str(value)
