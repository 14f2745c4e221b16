import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from made_weights import make_bundle
from short_run import REPOSITORY

from alexnet_jax.errors import UserError
from alexnet_jax.prediction.inference import check_same_task, evaluate_workdirs
from alexnet_jax.runs.trained import TrainedNetwork
from alexnet_jax.weights import read_workdir, write_workdir

pytestmark = pytest.mark.slow


def test_a_workdir_alone_gives_the_numbers_of_the_run(finished):
    workdir, result = finished
    scores = evaluate_workdirs([str(workdir)], "ten_crop", checkpoint="latest")
    assert scores == {"center": result["center"], "ten_crop": result["ten_crop"]}


def logged(workdir, step):
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return next(line for line in lines if line["kind"] == "eval" and line["step"] == step)


@pytest.mark.parametrize("step", [4, 6])
def test_a_step_can_be_named_and_is_printed(finished, capsys, step):
    scores = evaluate_workdirs([str(finished[0])], "center", checkpoint=str(step))
    assert scores["center"]["top1_error"] == logged(finished[0], step)["top1_error"]
    assert f"run: checkpoint {step} (as requested)" in capsys.readouterr().out


def test_without_a_name_the_best_is_taken(finished, tmp_path, capsys):
    """The log is changed so that step 4 was the best."""
    shutil.copytree(finished[0], tmp_path / "run")
    log = tmp_path / "run" / "metrics.jsonl"
    best = logged(finished[0], 4)
    log.write_text(log.read_text() + json.dumps(best | {"top1_error": 0.0}) + "\n")
    evaluate_workdirs([str(tmp_path / "run")], "center")
    assert "run: checkpoint 4 (best of 4, 6: top-1 error 0.00%" in capsys.readouterr().out


def test_a_network_averaged_with_itself_scores_the_same(finished):
    workdir, result = finished
    scores = evaluate_workdirs([str(workdir)] * 2, "center", checkpoint="latest")
    assert scores["center"]["top1_error"] == result["center"]["top1_error"]


def test_a_data_set_that_moved_can_be_named(finished, tmp_path):
    with pytest.raises(UserError, match="no data set"):
        evaluate_workdirs([str(finished[0])], "center", data_dir=str(tmp_path))


def test_another_split_can_be_named(finished):
    # The training split has 200 images, the validation split 40.
    scores = evaluate_workdirs([str(finished[0])], "center", split="train")
    assert scores["center"]["count"] == 200


def test_a_split_that_is_not_there_is_refused_with_those_that_are(finished):
    with pytest.raises(UserError, match=r"no split 'test', only \['train', 'validation'\]"):
        evaluate_workdirs([str(finished[0])], "center", split="test")


def test_a_workdir_without_checkpoints_is_refused(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "run", ignore=lambda *_: ["checkpoints"])
    with pytest.raises(UserError, match="has no checkpoint yet"):
        evaluate_workdirs([str(tmp_path / "run")], "center")


def run(module, *arguments):
    return subprocess.run(
        [sys.executable, "-m", f"alexnet_jax.{module}", *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def import_random(finished, workdir, kernel):
    """Make a workdir of the same data whose output layer's weights are all `kernel`."""
    config, names = (
        json.loads((finished[0] / name).read_text()) for name in ("config.json", "classes.json")
    )
    bundle = make_bundle(config=config)
    bundle.params["fc8"]["kernel"][:] = kernel
    write_workdir(replace(bundle, class_names=names), workdir)


@pytest.fixture(scope="module")
def broken(finished, tmp_path_factory):
    """A workdir whose network is finite, but whose logits overflow."""
    workdir = tmp_path_factory.mktemp("broken") / "run"
    import_random(finished, workdir, np.finfo(np.float32).max)
    return workdir


def test_a_checkpoint_that_is_not_finite_is_refused(finished, tmp_path):
    import_random(finished, tmp_path / "run", np.nan)
    words = r"run: checkpoint 0 holds numbers that are not finite: give another --checkpoint"
    with pytest.raises(UserError, match=words):
        evaluate_workdirs([str(tmp_path / "run")], "center")
    with pytest.raises(UserError, match=words):
        read_workdir(tmp_path / "run")  # What is exported.


def test_evaluate_of_a_network_that_is_not_finite_says_of_how_many_images(broken):
    words = f"{broken} predicts numbers that are not finite for 40 of 40 images: give another"
    with pytest.raises(UserError, match=words):
        evaluate_workdirs([str(broken)], "ten_crop")


def test_evaluate_of_several_names_the_network_that_is_not_finite(finished, broken):
    done = run("evaluate", f"--workdir={finished[0]}", f"--workdir={broken}", "--views=center")
    assert (done.returncode, done.stdout.count("\n")) == (2, 2)  # The checkpoints, no scores.
    assert done.stderr == (
        f"error: {broken} predicts numbers that are not finite for 40 of 40 images: "
        "give another --checkpoint\n"
    )


@pytest.mark.parametrize(
    ("names", "words"),
    [(["cat"], "b has 1 classes, a has 2"), (["dog", "cat"], "class 0 is 'dog' in b, 'cat' in a")],
)
def test_networks_of_other_classes_are_not_tested_together(config, names, words):
    first, other = (
        TrainedNetwork(config, each, None, None, None) for each in (["cat", "dog"], names)
    )
    with pytest.raises(UserError, match=words):
        check_same_task("a", first, "b", other)


@pytest.mark.parametrize("name", ["preprocessing.npz", "classes.json"])
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_a_workdir_that_lacks_a_file_says_which(finished, tmp_path, name, how):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    (workdir / name).unlink()
    if how == "empty":
        (workdir / name).touch()
    with pytest.raises(UserError, match=rf"{name} .*the command that trained"):
        evaluate_workdirs([str(workdir)], "center")


def test_a_config_that_lacks_a_key_says_which(finished, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    path = workdir / "config.json"
    path.write_text(path.read_text().replace('"crop_size": 80,', ""))
    with pytest.raises(UserError, match=r"data.crop_size is missing"):
        evaluate_workdirs([str(workdir)], "center")
