"""A run with smoothed labels, mixup and a moving average: train, resume, evaluate, export."""

import shutil

import jax
import numpy as np
import pytest
from short_run import short_config

from alexnet_jax.parallel.mesh import make_data_mesh
from alexnet_jax.prediction.inference import evaluate_workdirs
from alexnet_jax.runs.run import build_run
from alexnet_jax.runs.train import train_and_evaluate
from alexnet_jax.runs.trained import load_trained
from alexnet_jax.weights import export_weights, import_weights, read_workdir, write_workdir

pytestmark = pytest.mark.slow


def modern_config(fractals_dir):
    """The short run with every switch on, and batch statistics to average."""
    config = short_config(fractals_dir)
    config.model.modifications = ("batch_norm",)
    config.augment.mixup = 0.2
    config.train.update(label_smoothing=0.1, ema_decay=0.9)
    return config


@pytest.fixture
def config(fractals_dir):
    return modern_config(fractals_dir)


@pytest.fixture(scope="module")
def finished(fractals_dir, tmp_path_factory):
    """The workdir and result of a whole run; copy the workdir before changing it."""
    workdir = tmp_path_factory.mktemp("finished") / "run"
    return workdir, train_and_evaluate(modern_config(fractals_dir), workdir)


def load(workdir, checkpoint="latest"):
    return load_trained(workdir, make_data_mesh(), checkpoint).state


def same(left, right):
    return jax.tree.all(jax.tree.map(np.array_equal, *jax.device_get((left, right))))


def test_a_run_that_lost_its_last_steps_ends_with_the_same_bits(finished, config, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    shutil.rmtree(workdir / "checkpoints" / "6")
    (workdir / "result.json").unlink()
    again = train_and_evaluate(config, workdir)
    assert same(load(workdir), load(finished[0]))
    assert again["ten_crop"] == finished[1]["ten_crop"]


def test_the_average_is_evaluated_and_lags_behind_what_is_trained(finished):
    state = load(finished[0])
    trained = {"params": state.params, "batch_stats": state.batch_stats}
    assert same(state.variables, state.average)
    for kind, layer in (("params", "conv1"), ("batch_stats", "conv1_norm")):
        assert not same(state.average[kind][layer], trained[kind][layer])


def test_evaluate_gives_the_numbers_of_the_run(finished):
    scores = evaluate_workdirs([str(finished[0])], "center", checkpoint="6")
    assert scores["center"] == pytest.approx(finished[1]["center"])


def test_a_file_of_weights_holds_the_average_and_can_be_resumed_from(finished, tmp_path):
    bundle = read_workdir(finished[0], "6")
    assert same(bundle.variables, load(finished[0]).average)
    export_weights(bundle, tmp_path / "file", "safetensors")
    write_workdir(import_weights(tmp_path / "file", "safetensors"), tmp_path / "second")
    assert same(load(tmp_path / "second").average, bundle.variables)


def test_another_run_begins_with_the_average(finished, config):
    config.train.update(init_from=str(finished[0]), init_checkpoint="6")
    state = build_run(config).experiment.create_state()
    average = load(finished[0]).average
    assert same({"params": state.params, "batch_stats": state.batch_stats}, average)
    assert same(state.average, average)


def test_a_run_without_an_average_begins_with_that_of_another(finished, config):
    config.train.update(init_from=str(finished[0]), init_checkpoint="6", ema_decay=0.0)
    state = build_run(config).experiment.create_state()
    assert same(state.params, load(finished[0]).average["params"])
    assert state.average == {}
