import numpy as np
import pytest

from alexnet_jax.errors import UserError
from alexnet_jax.runs.run import build_run
from alexnet_jax.training.experiment import build_without_data
from alexnet_jax.training.from_config import resolve_durations


def test_data_that_is_not_there_says_what_to_run(config, tmp_path):
    config.data.dir = str(tmp_path)
    with pytest.raises(UserError, match="python -m alexnet_jax.prepare --dataset=fractals/demo"):
        build_run(config)


def test_a_batch_that_does_not_divide_over_the_devices_is_refused(config):
    config.train.batch_size = 30
    with pytest.raises(UserError, match="batch_size=30 does not divide over 4 devices; 28 and 32"):
        build_run(config)


def test_an_evaluation_batch_that_does_not_divide_is_refused(config):
    config.eval.batch_size = 30
    with pytest.raises(UserError, match="eval.batch_size=30 does not divide over 4 devices"):
        build_run(config)


def test_another_number_of_classes_than_the_data_has_is_refused(config):
    config.model.num_classes = 1000
    with pytest.raises(UserError, match=r"give --config.model.num_classes=10"):
        build_run(config)


def test_an_unknown_model_lists_the_known_ones(config):
    config.model.name = "resnet"
    with pytest.raises(UserError, match="no model 'resnet'; the known ones: original"):
        build_run(config)


def test_a_crop_too_small_for_the_network_is_refused(config):
    config.model.name = "original"
    config.data.crop_size = 40
    with pytest.raises(UserError, match="cannot take crops of 40 pixels; it is made for 224"):
        build_run(config)


def test_steps_count_where_epochs_are_given_too(config):
    config.train.update(steps=7, epochs=100.0)
    assert resolve_durations(config, 500).total == 7


def test_epochs_become_steps(config):
    with config.ignore_type():
        config.train.update(steps=None, epochs=2.5)
    assert resolve_durations(config, 640).total == 50


def test_a_layout_that_the_network_cannot_take_is_refused_before_any_data_is_read(config):
    config.data.dir = "nowhere"
    config.model.modifications = ("no_groups",)
    config.parallel.layout = "columns"
    with pytest.raises(UserError, match="no convolution of this one has groups"):
        build_run(config)


@pytest.mark.slow
def test_an_experiment_without_data_has_the_shapes_of_the_runs_own(config):
    experiment, run = build_without_data(config), build_run(config).experiment
    assert experiment.network.abstract_state == run.network.abstract_state
    assert experiment.mesh == run.mesh
    means = [each.network.preprocessing.mean.shape for each in (experiment, run)]
    assert means == [(96, 96, 3)] * 2


def test_a_config_that_cannot_be_is_refused_without_its_data(config, tmp_path):
    config.data.dir = str(tmp_path)
    config.data.crop_size = 20
    with pytest.raises(UserError, match="cannot take crops of 20 pixels"):
        build_without_data(config)


def test_the_files_of_records_are_those_of_the_training_split(config):
    (file,) = build_run(config).training.pixels.files
    assert "-train.array_record-" in file.name


def test_the_files_of_a_store_are_the_shards_of_the_training_split(config, stored_fractals):
    config.data.update(dir=str(stored_fractals), source="store")
    images = build_run(config).training.pixels
    assert sum(len(np.load(file)) for file in images.files) == len(images)
