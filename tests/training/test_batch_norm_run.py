"""The way of a network with batch normalization: train, go on, test, take out, begin with."""

import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image
from short_run import short_config

from alexnet_jax.errors import UserError
from alexnet_jax.parallel.mesh import make_data_mesh
from alexnet_jax.prediction.classification import classify
from alexnet_jax.prediction.classifier import from_workdir
from alexnet_jax.prediction.inference import evaluate_workdirs
from alexnet_jax.runs.run import build_run
from alexnet_jax.runs.train import train_and_evaluate
from alexnet_jax.runs.trained import load_trained
from alexnet_jax.weights import export_weights, import_weights, read_workdir, write_workdir

pytestmark = pytest.mark.slow


def normalized_config(fractals_dir):
    """The short run, with batch normalization and the update rule that it goes with."""
    config = short_config(fractals_dir)
    config.model.modifications = ("batch_norm",)
    config.optimizer.name = "lars"
    config.schedule.update(
        name="polynomial", learning_rate=2.0, power=2.0, warmup_epochs=0.48, warmup_start=0.1
    )
    return config


@pytest.fixture
def config(fractals_dir):
    return normalized_config(fractals_dir)


@pytest.fixture(scope="module")
def finished(fractals_dir, tmp_path_factory):
    """The workdir and result of a whole run; copy the workdir before changing it."""
    workdir = tmp_path_factory.mktemp("finished") / "run"
    return workdir, train_and_evaluate(normalized_config(fractals_dir), workdir)


def statistics(workdir):
    return load_trained(workdir, make_data_mesh()).state.batch_stats


def same(left, right):
    return jax.tree.all(jax.tree.map(lambda a, b: np.array_equal(a, b), left, right))


def test_training_moves_the_running_statistics(finished):
    mean = statistics(finished[0])["conv1_norm"]["mean"]
    assert np.abs(mean).max() > 0.01


def test_a_run_that_lost_its_last_steps_ends_with_the_same_bits(finished, config, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    shutil.rmtree(workdir / "checkpoints" / "6")
    (workdir / "result.json").unlink()
    again = train_and_evaluate(config, workdir)
    assert again["parameters_sha256"] == finished[1]["parameters_sha256"]
    assert same(statistics(workdir), statistics(finished[0]))
    assert again["ten_crop"] == finished[1]["ten_crop"]


def test_evaluate_gives_the_numbers_of_the_run(finished):
    scores = evaluate_workdirs([str(finished[0])], "center")
    assert scores["center"] == pytest.approx(finished[1]["center"])


def test_predict_takes_the_workdir(finished, tmp_path):
    Image.new("RGB", (120, 100), (200, 30, 30)).save(tmp_path / "red.png")
    (found,) = classify(from_workdir(finished[0]), [tmp_path / "red.png"], "ten_crop")
    assert len(found.classes) == 5


def test_through_a_file_of_ours_the_scores_stay_the_same(finished, fractals_dir, tmp_path):
    export_weights(read_workdir(finished[0]), tmp_path / "file", "safetensors")
    write_workdir(import_weights(tmp_path / "file", "safetensors"), tmp_path / "second")
    assert same(statistics(tmp_path / "second"), statistics(finished[0]))
    scores = evaluate_workdirs([str(tmp_path / "second")], "center", str(fractals_dir))
    assert scores["center"] == pytest.approx(finished[1]["center"])


def test_the_stablehlo_program_says_what_predict_says(finished, tmp_path):
    bundle = read_workdir(finished[0])
    export_weights(bundle, tmp_path / "program", "stablehlo")
    program = jax.export.deserialize(bytearray(Path(tmp_path / "program").read_bytes()))
    images = np.random.default_rng(0).integers(0, 256, (4, 96, 96, 3)).astype(np.uint8)
    expected = load_trained(finished[0], make_data_mesh()).predict(images, 2)
    np.testing.assert_allclose(program.call(images), expected, atol=1e-6)


def test_another_run_begins_with_its_statistics(finished, config):
    config.train.init_from = str(finished[0])
    state = build_run(config).experiment.create_state()
    assert same(state.batch_stats, statistics(finished[0]))


def test_a_network_without_norms_cannot_begin_with_it(finished, config):
    config.model.modifications = ()
    config.train.init_from = str(finished[0])
    with pytest.raises(UserError, match="holds the layers conv1, conv1_norm.*this network needs"):
        build_run(config).experiment.create_state()
