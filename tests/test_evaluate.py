"""What the command evaluate prints and writes, besides the numbers of tests/training."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from short_run import REPOSITORY

pytestmark = pytest.mark.slow


def evaluate(workdir, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "alexnet_jax.evaluate", f"--workdir={workdir}", *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def saved(finished, tmp_path_factory):
    """What a run with every kind of output printed, and its arrays."""
    path = tmp_path_factory.mktemp("evaluated") / "a.npz"
    options = ["--checkpoint=latest", "--json", "--by_class", "--views=center", f"--out={path}"]
    done = evaluate(finished[0], *options)
    assert done.returncode == 0, done.stderr
    return done, dict(np.load(path, allow_pickle=False))


def test_json_is_all_of_the_output_and_has_fractions(finished, saved):
    values = json.loads(saved[0].stdout)
    # The run had four devices, this command has one: its losses are summed in another order.
    assert values["center"] == pytest.approx(finished[1]["center"], rel=1e-6)
    assert values["data"] == "fractals/demo_20"
    assert values["split"] == "validation"


def test_errors_by_class_add_up_to_the_error_of_all(finished, saved):
    classes = json.loads(saved[0].stdout)["by_class"]
    assert sum(each["count"] for each in classes) == finished[1]["center"]["count"]
    wrong = sum(each["top1_error"] * each["count"] for each in classes)
    assert wrong == pytest.approx(finished[1]["center"]["top1_error"] * 40)


def test_saved_probabilities_give_the_printed_error(finished, saved):
    arrays = saved[1]
    assert (arrays["probabilities"].dtype, arrays["probabilities"].shape) == (np.float32, (40, 10))
    wrong = arrays["probabilities"].argmax(axis=1) != arrays["labels"]
    assert wrong.mean() == finished[1]["center"]["top1_error"]
    assert arrays["class_names"][0] == "fractal_0000"


def test_the_training_split_can_be_evaluated_too(finished):
    done = evaluate(finished[0], "--split=train", "--views=center", "--json")
    values = json.loads(done.stdout)
    assert (values["split"], values["center"]["count"]) == ("train", 200)


def test_a_table_by_class_follows_that_of_all(finished):
    done = evaluate(finished[0], "--by_class", "--views=center")
    table = done.stdout.split("\n\n")[1].splitlines()
    assert table[0] == "by class, center"
    assert len(table) == 2 + 10


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "there is no such file, and no such recipe; the known ones: automatic, caffe, "),
        ("raise SystemExit(0)", "cannot be loaded: SystemExit: 0 "),
        ("import nowhere", "cannot be loaded: ModuleNotFoundError: No module named 'nowhere' "),
        ("", "cannot be loaded: AttributeError: .* no attribute 'get_config' "),
    ],
)
def test_a_recipe_that_cannot_be_loaded_is_a_mistake(finished, tmp_path, text, problem):
    recipe = tmp_path / "mine.py"
    if text is not None:
        recipe.write_text(text)
    done = evaluate(finished[0], f"--recipe={recipe}")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.match(f"error: --recipe={recipe}.*{problem}", done.stderr)


def test_a_file_that_cannot_be_written_is_refused_before_the_evaluation(finished, tmp_path):
    done = evaluate(finished[0], f"--out={tmp_path}/a.txt")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {tmp_path}/a.txt should end in .npz\n"
