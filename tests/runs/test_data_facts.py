"""A run's own preprocessing, class names, count and colors, against the data it finds."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from made_weights import make_bundle
from short_run import FRACTALS, short_config

from alexnet_jax.data.pixel_store.statistics_file import save_statistics
from alexnet_jax.data.records import dataset_directory
from alexnet_jax.data.statistics import load_statistics
from alexnet_jax.errors import UserError
from alexnet_jax.prediction.inference import evaluate_workdirs
from alexnet_jax.runs.data_facts import load_class_names, save_facts
from alexnet_jax.runs.run import build_run
from alexnet_jax.runs.train import train_and_evaluate
from alexnet_jax.weights import read_workdir, write_workdir

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def begun(fractals_dir, tmp_path_factory):
    """A workdir whose run has two of six steps; copy it before changing it."""
    workdir = tmp_path_factory.mktemp("begun") / "run"
    config = short_config(fractals_dir)
    config.train.steps = 2
    train_and_evaluate(config, workdir)
    return workdir


@pytest.fixture
def workdir(begun, tmp_path):
    shutil.copytree(begun, tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    path.write_text(path.read_text().replace('"steps": 2', '"steps": 6'))
    (tmp_path / "run" / "result.json").unlink()
    return tmp_path / "run"


@pytest.fixture
def copied(fractals_dir, tmp_path, config):
    """The same data set in another place, to be changed, and a config that names it."""
    shutil.copytree(fractals_dir, tmp_path / "copy")
    config.data.dir = str(tmp_path / "copy")
    return dataset_directory(tmp_path / "copy", FRACTALS)


def brighten(directory, by):
    statistics = load_statistics(directory, 96)
    save_statistics(replace(statistics, mean_image=statistics.mean_image + by), directory)


def reverse_names(directory):
    path = directory / "label.labels.txt"
    path.write_text("\n".join(reversed(path.read_text().split())) + "\n")


def read(workdir, name):
    return json.loads((workdir / name).read_text())


def test_other_statistics_are_refused_with_how_much_the_mean_differs(workdir, copied, config):
    brighten(copied, 60)
    before = (workdir / "preprocessing.npz").read_bytes()
    with pytest.raises(UserError, match=r"mean image differs by 60.00 of 255.*--resume=ignore_con"):
        train_and_evaluate(config, workdir)
    assert (workdir / "preprocessing.npz").read_bytes() == before


def test_other_class_names_are_refused_by_name(workdir, copied, config):
    first, last = (read(workdir, "classes.json")[n] for n in (0, -1))
    reverse_names(copied)
    with pytest.raises(UserError, match=f"class 0 '{first}' -> '{last}'.* and 7 more classes"):
        train_and_evaluate(config, workdir)
    assert read(workdir, "classes.json")[0] == first


def test_another_number_of_images_is_refused(workdir, config):
    data = read(workdir, "data.json")
    (workdir / "data.json").write_text(json.dumps(data | {"examples": 480}))
    with pytest.raises(UserError, match="480 training images -> 200"):
        train_and_evaluate(config, workdir)


def test_other_records_of_the_same_statistics_are_refused(workdir, copied, config):
    info = read(copied, "dataset_info.json")
    info["splits"][0]["numBytes"] = str(int(info["splits"][0]["numBytes"]) + 1)
    (copied / "dataset_info.json").write_text(json.dumps(info))
    with pytest.raises(UserError, match="the records are other ones"):
        train_and_evaluate(config, workdir)


def test_the_same_records_in_another_place_are_the_same(workdir, copied, config):
    assert build_run(config, workdir).data_changes == []


def test_the_same_records_read_through_the_store_are_the_same(workdir, stored_fractals, config):
    config.data.update(dir=str(stored_fractals), source="store")
    assert build_run(config, workdir).data_changes == []


def test_ignoring_what_differs_keeps_preprocessing_and_names_and_says_so(
    workdir, copied, config, capsys
):
    names, mean = read(workdir, "classes.json"), build_run(config, workdir).facts.preprocessing.mean
    brighten(copied, 60)
    reverse_names(copied)
    train_and_evaluate(config, workdir, ignore_config=True)
    assert "note: the data are not those of the run's first step" in capsys.readouterr().out
    kept = read_workdir(workdir)
    assert kept.class_names == names
    np.testing.assert_array_equal(kept.preprocessing.mean, mean)


def test_a_workdir_of_before_there_was_a_record_continues_and_gets_one(workdir, config):
    data = read(workdir, "data.json")
    (workdir / "data.json").unlink()
    assert train_and_evaluate(config, workdir)["step"] == 6
    assert read(workdir, "data.json") == data


def test_other_classes_are_refused_in_a_test_by_name(workdir, copied, config):
    first, last = (read(workdir, "classes.json")[n] for n in (0, -1))
    reverse_names(copied)
    words = (
        rf"other classes than the data that {workdir} was trained on \(class 0 '{first}' -> "
        rf"'{last}'.*give those data with --data_dir"
    )
    with pytest.raises(UserError, match=words):
        evaluate_workdirs([str(workdir)], "center", config.data.dir)


def test_in_a_test_together_no_workdir_may_have_learned_other_classes(workdir, copied, config):
    """The first was imported, so that nothing is known of its data."""
    shutil.copytree(workdir, workdir.with_name("imported"))
    (workdir.with_name("imported") / "data.json").unlink()
    reverse_names(copied)
    both = [str(workdir.with_name("imported")), str(workdir)]
    with pytest.raises(UserError, match=f"other classes than the data that {workdir} was"):
        evaluate_workdirs(both, "center", config.data.dir)


def test_imported_weights_are_tested_under_the_names_of_their_makers(config, tmp_path):
    """Also after a run has gone on with them, on data that it knows under other names."""
    write_workdir(make_bundle(config=config.to_dict()), tmp_path)
    assert evaluate_workdirs([str(tmp_path)], "center")["center"]["count"] == 40
    save_facts(build_run(config, tmp_path).facts, tmp_path)
    assert read(tmp_path, "classes.json")[0] == "kind 0"
    assert evaluate_workdirs([str(tmp_path)], "center")["center"]["count"] == 40


def test_training_in_an_imported_workdir_keeps_its_preprocessing(config, fractals_dir, tmp_path):
    config.train.steps = 1
    bundle = make_bundle(config=config.to_dict())
    names = build_run(config).facts.class_names
    write_workdir(replace(bundle, class_names=names), tmp_path)
    train_and_evaluate(config, tmp_path)
    found = read_workdir(tmp_path).preprocessing
    np.testing.assert_array_equal(found.std, bundle.preprocessing.std)
    np.testing.assert_array_equal(found.mean, bundle.preprocessing.mean)


def test_fine_tuning_continues_when_the_workdir_it_began_with_is_gone(config, begun, tmp_path):
    shutil.copytree(begun, tmp_path / "first")
    config.train.init_from = str(tmp_path / "first")
    whole = train_and_evaluate(config, tmp_path / "whole")
    assert whole["step"] == 6
    shutil.rmtree(tmp_path / "first")
    shutil.rmtree(tmp_path / "whole" / "checkpoints" / "6")
    (tmp_path / "whole" / "result.json").unlink()
    again = train_and_evaluate(config, tmp_path / "whole")
    assert again["parameters_sha256"] == whole["parameters_sha256"]


@pytest.fixture
def without_steps(monkeypatch):
    """Runs end when all is there for their first step."""

    def stop(self, state, step):
        raise KeyboardInterrupt

    monkeypatch.setattr("alexnet_jax.training.loop.Loop.run", stop)


def test_fine_tuning_saves_before_its_first_step(config, begun, tmp_path, without_steps):
    config.train.init_from = str(begun)
    with pytest.raises(KeyboardInterrupt):
        train_and_evaluate(config, tmp_path)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["0"]


def test_every_start_stays_in_the_environment(workdir, config, without_steps):
    first = read(workdir, "environment.json")["starts"]
    with pytest.raises(KeyboardInterrupt):
        train_and_evaluate(config, workdir)
    starts = read(workdir, "environment.json")["starts"]
    assert [start["step"] for start in starts] == [0, 2]
    assert starts[:1] == first


def test_an_environment_of_before_starts_were_kept_is_the_first(workdir, config, without_steps):
    (workdir / "environment.json").write_text('{"git_commit": "abc"}')
    with pytest.raises(KeyboardInterrupt):
        train_and_evaluate(config, workdir)
    assert read(workdir, "environment.json")["starts"][0] == {"git_commit": "abc"}


@pytest.mark.parametrize(
    "text", ["", "7", '{"a": 1}', '["a", 2]', '["a"]', "[" * 100_000, '["\udcff"]']
)
def test_damaged_class_names_are_one_error(tmp_path, text):
    (tmp_path / "classes.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match=r"classes.json cannot be read"):
        load_class_names(tmp_path, 2)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "[" * 100_000, '{"examples": 1, "fingerprint": "", "channel_means": [1, 2]}'],
)
def test_a_damaged_record_of_the_data_is_one_error(workdir, config, text):
    (workdir / "data.json").write_text(text)
    with pytest.raises(UserError, match=r"data.json is damaged"):
        build_run(config, workdir)
