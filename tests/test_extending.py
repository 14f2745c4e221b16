"""The recipe of docs/extending.md, put together from its lines and trained with as users do."""

import json
import re
import subprocess
import sys

import jax
import numpy as np
import pytest
from short_run import FRACTALS, REPOSITORY, read_lines

from alexnet_jax.data.augment import AUGMENTATIONS
from alexnet_jax.data.builders import DATA_SETS
from alexnet_jax.data.builders.preparation import Request, prepare_dataset
from alexnet_jax.data.records import Records
from alexnet_jax.errors import UserError
from alexnet_jax.parallel.mesh import make_data_mesh
from alexnet_jax.runs.trained import load_trained

PAGE = (REPOSITORY / "docs" / "extending.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def stripes(monkeypatch):
    """The data set of the page, registered while a test runs."""
    imports, (block,) = BLOCKS[0], [block for block in BLOCKS if "class Stripes" in block]
    monkeypatch.setitem(DATA_SETS, "stripes", None)  # Removed afterwards.
    exec(imports + block, {"__name__": "page"})
    return "stripes"


def test_the_data_set_of_the_page_is_made(stripes, tmp_path, capsys):
    prepare_dataset(Request(stripes, tmp_path, image_size=16))
    train, validation = (Records(tmp_path, stripes, split) for split in ("train", "validation"))
    assert (len(train), len(validation)) == (200, 40)
    assert train.class_names == ["horizontal", "vertical"]
    name = train[0]["file_name"].decode()
    assert name.endswith(f"_{train[0]['label']}.png")
    assert "--config.data.name=stripes --config.model.num_classes=2" in capsys.readouterr().out


def test_it_is_known_to_every_message(stripes, tmp_path):
    with pytest.raises(
        UserError, match=f"make it with: .* --dataset=stripes --data_dir={tmp_path}"
    ):
        Records(tmp_path, stripes, "train")
    with pytest.raises(UserError, match="stripes is made on the spot; leave --source out"):
        prepare_dataset(Request(stripes, tmp_path, source=tmp_path))
    with pytest.raises(UserError, match="known: .*, stripes, "):
        prepare_dataset(Request("stripe", tmp_path))


def test_the_augmentation_of_the_page_blackens_a_quarter_of_each_image_at_a_place_of_its_own(
    monkeypatch,
):
    imports, (block,) = BLOCKS[0], [block for block in BLOCKS if "def cutout" in block]
    monkeypatch.setitem(AUGMENTATIONS, "cutout", None)  # Removed afterwards.
    exec(imports + block, {"__name__": "page"})
    images = np.full((64, 8, 8, 3), 9, np.uint8)
    covered = np.asarray(AUGMENTATIONS["cutout"](jax.random.key(0), images))[..., 0] == 0
    assert covered.any(axis=2).sum(axis=1).tolist() == [4] * 64, "rows"
    assert covered.any(axis=1).sum(axis=1).tolist() == [4] * 64, "columns"
    assert covered.sum(axis=(1, 2)).tolist() == [16] * 64, "a whole square"
    assert len(np.unique(covered, axis=0)) > 15, "of 25 places"


def run(module, *arguments):
    return subprocess.run(
        [sys.executable, "-m", f"alexnet_jax.{module}", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "my_recipe.py"
    path.write_text("\n\n".join(BLOCKS))
    return path


@pytest.fixture(scope="module", params=["tiny_tanh", "small"])
def trained(request, recipe, fractals_dir, tmp_path_factory):
    """The workdir of a run of the page's recipe, with a network of the page."""
    workdir = tmp_path_factory.mktemp("trained") / request.param
    values = {
        "data.dir": fractals_dir,
        "data.name": FRACTALS,
        "model.name": request.param,
        "train.batch_size": 8,
        "train.steps": 3,
        "eval.batch_size": 24,
        "log.every_steps": 1,
    }
    options = [f"--config.{key}={value}" for key, value in values.items()]
    done = run("main", f"--config={recipe}", f"--workdir={workdir}", *options)
    assert done.returncode == 0, done.stderr
    return workdir


@pytest.mark.slow
def test_the_recipe_of_the_page_trains(trained):
    lines = read_lines(trained)
    rates = [line["learning_rate"] for line in lines if line["kind"] == "train"]
    # The whole rate, then divided by the roots of 2 and 3.
    assert rates == pytest.approx([1e-4, 0.7071068e-4, 0.5773503e-4], rel=1e-5)
    # There are ten classes.
    evaluations = [line for line in lines if line["kind"] == "eval"]
    assert [line["top10_error"] for line in evaluations] == [0.0] * len(evaluations)
    result = json.loads((trained / "result.json").read_text())
    assert result["ten_crop"]["top10_error"] == 0.0


@pytest.mark.slow
def test_its_run_is_evaluated_with_the_recipe(trained, recipe):
    done = run("evaluate", f"--workdir={trained}", f"--recipe={recipe}", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads((trained / "result.json").read_text())
    assert json.loads(done.stdout)["ten_crop"] == result["ten_crop"]


@pytest.mark.slow
def test_without_the_recipe_a_message_names_the_way(trained):
    names = f"config.model.name='{trained.name}', .*'adamw', .*'inverse_root', unknown here"
    with pytest.raises(UserError, match=f"{trained} has {names}; .*: --recipe=FILE"):
        load_trained(trained, make_data_mesh())
