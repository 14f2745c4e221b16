import jax
import numpy as np
import pytest

from alexnet_jax.data.image_source import DecodedImages
from alexnet_jax.data.pixel_store import PixelStore
from alexnet_jax.diagnosis.dry_run import make_dry_run, open_run_data
from alexnet_jax.errors import UserError
from alexnet_jax.training.assembly import assemble


@pytest.mark.slow
def test_the_step_is_rehearsed_with_shapes_of_the_runs_own(config):
    rehearsed, run = make_dry_run(config).learner, assemble(config)
    of_rehearsed, of_run = (
        jax.tree.map(np.shape, learner.create_state()) for learner in (rehearsed, run)
    )
    assert of_rehearsed == of_run
    assert rehearsed.mesh == run.mesh
    assert rehearsed.preprocessing.mean.shape == run.preprocessing.mean.shape


def test_a_config_that_cannot_be_is_refused_without_its_data(config, tmp_path):
    config.data.dir = str(tmp_path)
    config.data.crop_size = 20
    with pytest.raises(UserError, match="cannot take crops of 20 pixels"):
        make_dry_run(config)


def test_missing_data_say_what_to_run(config, tmp_path):
    config.data.dir = str(tmp_path)
    assert "python -m alexnet_jax.prepare --dataset=fractals/demo" in open_run_data(config)


def test_a_missing_store_says_what_to_run(config):
    config.data.source = "store"
    assert open_run_data(config).endswith("--image_size=96 --store_only")


def test_the_files_of_records_are_those_of_the_training_split(config):
    run_data = open_run_data(config)
    assert isinstance(run_data.opened, DecodedImages)
    (file,) = run_data.files
    assert "-train.array_record-" in file.name


def test_the_files_of_a_store_are_the_shards_of_the_training_split(config, stored_fractals):
    config.data.update(dir=str(stored_fractals), source="store")
    run_data = open_run_data(config)
    assert isinstance(run_data.opened, PixelStore)
    assert sum(len(np.load(file)) for file in run_data.files) == len(run_data.batches.pixels)
