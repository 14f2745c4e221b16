"""What TensorBoard receives, read back from the event files."""

import io
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from event_files import read_events, read_values
from PIL import Image
from short_run import REPOSITORY
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from alexnet_jax.evaluation.metrics import METRICS
from alexnet_jax.monitoring.tensorboard import TensorBoard

VALUES = {"loss": 1.0, "top1_error": 0.5, "epoch": 1.0, "seconds": 3.0}
SCORES = {"top1_error": 0.25, "top5_error": 0.125, "loss": 2.0, "count": 8}
CONFIG = {"train.seed": 3, "schedule.boundaries": (1, 2), "log.sink": None}


def open_board(workdir, step=0):
    names = [f"class {label}" for label in range(10)]
    return TensorBoard(workdir, step, CONFIG, ["train.seed", "schedule.boundaries"], names)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "tensorboard"


def scalars(folder):
    return {
        tag: [(step, value.simple_value) for step, value in values]
        for tag, values in read_values(folder).items()
        if values[0][1].HasField("simple_value")
    }


def test_training_and_validation_errors_have_one_tag_in_two_runs(tmp_path, folder):
    with open_board(tmp_path) as board:
        board.train(5, VALUES)
        board.evaluation(6, "center", SCORES)
    assert scalars(folder / "train")["metrics/top1_error"] == [(5, 0.5)]
    assert scalars(folder / "validation")["metrics/top1_error"] == [(6, 0.25)]


def test_epochs_and_seconds_are_not_plotted(tmp_path, folder):
    with open_board(tmp_path) as board:
        board.train(5, VALUES)
    assert scalars(folder / "train").keys() == {"metrics/loss", "metrics/top1_error"}


def test_ten_crops_are_a_run_of_their_own(tmp_path, folder):
    with open_board(tmp_path) as board:
        board.evaluation(6, "ten_crop", SCORES)
    assert scalars(folder / "validation_ten_crops")["metrics/loss"] == [(6, 2.0)]


def test_a_metric_of_the_registry_is_plotted(tmp_path, folder, monkeypatch):
    monkeypatch.setitem(METRICS, "top10_error", lambda examples: 0.0)
    with open_board(tmp_path) as board:
        board.evaluation(6, "center", SCORES | {"top10_error": 0.5})
    assert scalars(folder / "validation")["metrics/top10_error"] == [(6, 0.5)]


def test_a_resumed_run_replaces_what_it_does_again(tmp_path, folder):
    with open_board(tmp_path, step=4):
        pass
    starts = [event.step for event in read_events(folder / "train") if event.session_log.status]
    assert starts == [5]


def test_the_config_is_a_table(tmp_path, folder):
    with open_board(tmp_path):
        pass
    ((_, text),) = read_values(folder / "train")["config/text_summary"]
    assert "| schedule.boundaries | (1, 2) |" in text.tensor.string_val[0].decode()


def test_runs_can_be_compared_by_their_hyperparameters(tmp_path, folder):
    with open_board(tmp_path):
        pass
    ((_, start),) = read_values(folder / "validation")["_hparams_/session_start_info"]
    content = HParamsPluginData.FromString(start.metadata.plugin_data.content)
    hyperparameters = content.session_start_info.hparams
    assert hyperparameters.keys() == {"train.seed", "schedule.boundaries"}
    assert hyperparameters["train.seed"].number_value == 3.0


def test_histograms_hold_every_value_of_a_small_tensor(tmp_path, folder):
    kernel = np.linspace(-1, 1, 300, dtype=np.float32).reshape(5, 5, 3, 4)
    with open_board(tmp_path) as board:
        board.parameters(7, {"conv1": {"kernel": kernel}})
    ((step, value),) = read_values(folder / "train")["parameters/conv1/kernel"]
    assert (step, value.histo.num, sum(value.histo.bucket)) == (7, 300, 300)
    assert (value.histo.min, value.histo.max) == (-1.0, 1.0)


def test_a_large_tensor_is_sampled(tmp_path, folder):
    params = {"conv1": {"kernel": np.zeros((1, 1, 3, 1)), "bias": np.ones(200_000)}}
    with open_board(tmp_path) as board:
        board.parameters(7, params)
    ((_, value),) = read_values(folder / "train")["parameters/conv1/bias"]
    assert value.histo.num == 100_000


def read_image(values):
    ((step, value),) = values
    return step, np.asarray(Image.open(io.BytesIO(value.image.encoded_image_string)))


def test_the_first_layers_kernels_are_an_image(tmp_path, folder):
    kernel = np.random.default_rng(0).normal(size=(11, 11, 3, 6)).astype(np.float32)
    with open_board(tmp_path) as board:
        board.parameters(7, {"conv1": {"kernel": kernel}})
    step, image = read_image(read_values(folder / "train")["kernels/conv1"])
    # Three in a row, each weight 4 pixels, with a line of one pixel around each kernel.
    assert (step, image.shape) == (7, (2 * 46, 3 * 46, 3))


@pytest.mark.parametrize(
    "params",
    [
        {"a_norm": {"scale": np.ones(3)}, "fc1": {"kernel": np.ones((9, 2))}},
        {"conv1": {"kernel": np.ones((3, 3, 8, 4))}},
        {"block": {"conv1": {"kernel": np.ones((3, 3, 3, 4))}}},
    ],
    ids=["no_convolution", "no_colors", "nested"],
)
def test_a_network_without_kernels_of_colors_has_histograms_alone(tmp_path, folder, params):
    with open_board(tmp_path) as board:
        board.parameters(7, params)
    tags = read_values(folder / "train").keys()
    assert any(tag.startswith("parameters/") for tag in tags)
    assert not any(tag.startswith("kernels/") for tag in tags)


def test_predictions_are_of_the_first_images_that_count(tmp_path, folder):
    batch = {
        "image": np.zeros((4, 8, 8, 3), np.uint8),
        "label": np.zeros(4, np.int32),
        "mask": np.array([True, True, True, False]),
    }
    with open_board(tmp_path) as board:
        board.predictions(7, jax.device_put(batch), jax.numpy.full((4, 10), 0.1))
    _, image = read_image(read_values(folder / "validation")["predictions"])
    tile = image.shape[1] // 4
    assert (image[:, 2 * tile : 3 * tile] == 0).any(), "the third image is black"
    assert (image[:, 3 * tile :] == 255).all(), "nothing is there for the fourth"


def test_a_run_writes_images_and_histograms_at_its_evaluations(finished):
    workdir, _ = finished
    validation = read_values(workdir / "tensorboard" / "validation")
    train = read_values(workdir / "tensorboard" / "train")
    assert [step for step, _ in validation["predictions"]] == [4, 6]
    assert [step for step, _ in train["kernels/conv1"]] == [4, 6]
    assert [step for step, _ in train["parameters/fc8/bias"]] == [4, 6]
    assert [step for step, _ in train["metrics/loss"]] == [2, 4, 6]


def test_pytorch_where_it_is_installed_is_left_alone(tmp_path):
    (tmp_path / "torch.py").write_text("raise SystemExit('somebody imported it')")
    script = f"""
from pathlib import Path
from alexnet_jax.monitoring.tensorboard import TensorBoard
with TensorBoard(Path({str(tmp_path)!r}), 0, {{}}, [], []):
    pass
import torch
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{REPOSITORY}"},
        capture_output=True,
        text=True,
    )
    assert done.stderr.endswith("somebody imported it\n"), "its import works afterwards, as before"
    assert (tmp_path / "tensorboard").exists()
