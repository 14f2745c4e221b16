import shutil

import numpy as np
import pytest
from made_weights import make_bundle

from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.errors import UserError
from alexnet_jax.runs.fine_tuning import load_pretrained
from alexnet_jax.runs.preprocessing_file import save_preprocessing
from alexnet_jax.runs.results import parameters_sha256
from alexnet_jax.runs.run import build_run
from alexnet_jax.weights import write_workdir

pytestmark = pytest.mark.slow


def layers(outputs=3, **others):
    shapes = {"conv1": 4, "fc8": outputs} | others
    return {name: {"kernel": np.full((2, n), n), "bias": np.zeros(n)} for name, n in shapes.items()}


def test_layers_of_the_same_shape_are_taken_over():
    taken = load_pretrained(layers(), layers(), "fc8", "there")
    assert (taken["fc8"]["kernel"] == 3).all()


def test_an_output_layer_of_other_classes_begins_anew():
    fresh = layers(outputs=5)
    taken = load_pretrained(layers(outputs=3), fresh, "fc8", "there")
    assert taken["fc8"] is fresh["fc8"]


def test_another_layer_of_another_shape_is_refused():
    with pytest.raises(UserError, match=r"conv1 of there is \(2, 9\), this network's is \(2, 4\)"):
        load_pretrained(layers(conv1=9), layers(), "fc8", "there")


def test_another_network_is_refused_with_the_layers_of_both():
    with pytest.raises(UserError, match="there holds the layers conv1, fc8, conv6, this network"):
        load_pretrained(layers(conv6=2), layers(), "fc8", "there")


def test_a_missing_workdir_is_refused(config, tmp_path):
    config.train.init_from = str(tmp_path / "nowhere")
    with pytest.raises(UserError, match="nowhere is no workdir of a run"):
        build_run(config)


def test_a_run_begins_with_the_parameters_of_another(config, finished):
    workdir, result = finished
    config.train.update(init_from=str(workdir), init_checkpoint="latest")
    state = build_run(config).experiment.create_state()
    assert int(state.step) == 0
    assert parameters_sha256(state.params) == result["parameters_sha256"]


def test_a_network_with_a_layer_fewer_takes_other_classes(config, tmp_path):
    """Its output layer is fc7, not fc8."""
    bundle = make_bundle(num_classes=4, modifications=("without_conv3",))
    write_workdir(bundle, tmp_path / "four")
    config.model.modifications = ("without_conv3",)
    config.train.init_from = str(tmp_path / "four")
    params = build_run(config).experiment.create_state().params
    np.testing.assert_array_equal(params["conv2"]["kernel"], bundle.params["conv2"]["kernel"])
    assert params["fc7"]["kernel"].shape[1] == 10


def test_a_run_begins_with_the_checkpoint_that_is_named(config, finished, capsys):
    config.train.update(init_from=str(finished[0]), init_checkpoint="4")
    build_run(config)
    assert "run: checkpoint 4 (as requested)" in capsys.readouterr().out


def test_the_preprocessing_comes_with_the_parameters(config, finished, tmp_path):
    shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True)
    other = Preprocessing(np.full((96, 96, 3), 7, np.float32), np.full(3, 2, np.float32))
    save_preprocessing(other, tmp_path)
    config.train.init_from = str(tmp_path)
    np.testing.assert_array_equal(build_run(config).facts.preprocessing.mean, other.mean)
