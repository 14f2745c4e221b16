import json

import jax
import numpy as np
import pytest
from made_weights import make_bundle, same_params
from PIL import Image
from short_run import short_config

from alexnet_jax.errors import UserError
from alexnet_jax.models import ops
from alexnet_jax.models.alexnet import fast_operations
from alexnet_jax.prediction.classification import classify
from alexnet_jax.prediction.classifier import from_workdir
from alexnet_jax.prediction.inference import evaluate_workdirs
from alexnet_jax.runs.train import train_and_evaluate
from alexnet_jax.weights import export_weights, import_weights, read_workdir, write_workdir

pytestmark = pytest.mark.slow


@pytest.fixture
def bundle(fractals_dir):
    """A network of the demo's, as trained by a short run."""
    return make_bundle(config=short_config(fractals_dir).to_dict())


@pytest.fixture
def workdir(bundle, tmp_path):
    write_workdir(bundle, tmp_path / "run")
    return tmp_path / "run"


def test_a_workdir_gives_back_what_it_was_made_of(workdir, bundle):
    found = read_workdir(workdir)
    assert same_params(found.params, bundle.params)
    assert np.array_equal(found.preprocessing.mean, bundle.preprocessing.mean)
    assert (found.model_name, found.class_names) == ("tiny", bundle.class_names)


@pytest.mark.parametrize(("kernels", "operations"), [("fast", fast_operations()), ("plain", ops)])
def test_a_network_is_exported_in_the_forms_it_was_trained_with(
    kernels, operations, bundle, tmp_path
):
    config = {**bundle.config, "model": {**bundle.config["model"], "kernels": kernels}}
    write_workdir(make_bundle(config=config), tmp_path / "run")
    assert read_workdir(tmp_path / "run").model.operations is operations


def test_evaluate_takes_the_workdir(workdir, fractals_dir):
    scores = evaluate_workdirs([str(workdir)], "center", str(fractals_dir))
    assert scores["center"]["count"] == 40
    assert np.isfinite(scores["center"]["loss"])


def test_predict_takes_the_workdir(workdir, tmp_path, bundle):
    Image.new("RGB", (120, 100), (200, 30, 30)).save(tmp_path / "red.png")
    classifier = from_workdir(workdir)
    (found,) = classify(classifier, [tmp_path / "red.png"], "ten_crop")
    assert len(found.classes) == 5 and classifier.class_names == bundle.class_names


def test_through_a_file_of_ours_the_scores_stay_the_same(workdir, fractals_dir, tmp_path):
    export_weights(read_workdir(workdir), tmp_path / "file", "safetensors")
    write_workdir(import_weights(tmp_path / "file", "safetensors"), tmp_path / "second")
    both = [
        evaluate_workdirs([str(each)], "center", str(fractals_dir))
        for each in (workdir, tmp_path / "second")
    ]
    assert both[0] == both[1]


def test_the_path_of_the_data_is_not_given_away(workdir, fractals_dir, tmp_path):
    export_weights(read_workdir(workdir), tmp_path / "file", "safetensors")
    assert str(fractals_dir).encode() not in (tmp_path / "file").read_bytes()


def test_a_config_of_before_a_key_existed_takes_its_default(bundle, tmp_path):
    group = {key: value for key, value in bundle.config["schedule"].items() if key != "power"}
    older = make_bundle(config={**bundle.config, "schedule": group})
    export_weights(older, tmp_path / "file", "safetensors")
    write_workdir(import_weights(tmp_path / "file", "safetensors"), tmp_path / "run")
    assert read_workdir(tmp_path / "run").config["schedule"]["power"] == 2.0


def test_weights_of_another_program_get_imagenets_config(tmp_path):
    write_workdir(make_bundle("owt", 1000), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model"]["name"] == "owt"
    assert config["data"]["name"] == "imagenet2012"
    assert (config["data"]["image_size"], config["data"]["crop_size"]) == (240, 224)


def test_a_folder_that_holds_a_run_is_refused(workdir, bundle):
    with pytest.raises(UserError, match="holds a run already"):
        write_workdir(bundle, workdir)


def test_class_names_are_written_whole_or_not_at_all(bundle, tmp_path):
    """To another file, which then takes the place of what an interrupted import left."""
    (tmp_path / "classes.json").write_text('["half')
    (tmp_path / "left").hardlink_to(tmp_path / "classes.json")
    write_workdir(bundle, tmp_path)
    assert (tmp_path / "left").read_text() == '["half'
    assert json.loads((tmp_path / "classes.json").read_text()) == bundle.class_names


def test_a_folder_that_is_no_workdir_is_refused(tmp_path):
    with pytest.raises(UserError, match="is no workdir"):
        read_workdir(tmp_path)


def test_a_config_with_an_unknown_key_is_refused_before_anything_is_written(bundle, tmp_path):
    damaged = make_bundle(config={**bundle.config, "log": {"color": "red"}})
    with pytest.raises(UserError, match=r"config.log.color is unknown"):
        write_workdir(damaged, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_training_continues_from_the_imported_parameters(workdir, bundle, fractals_dir):
    config = short_config(fractals_dir)
    config.train.steps = 1
    config.schedule.update(name="constant", learning_rate=1e-12)
    train_and_evaluate(config, workdir, ignore_config=True)
    trained = read_workdir(workdir).params
    changes = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), trained, dict(bundle.params))
    assert max(jax.tree.leaves(changes)) < 1e-6
