"""The recipe of docs/extending.md, put together from its lines and trained with as users do."""

import json
import re
import subprocess
import sys

import jax
import numpy as np
import pytest
from short_run import FRACTALS, REPOSITORY

from alexnet_jax.data.augment import AUGMENTATIONS
from alexnet_jax.data.builders import DATA_SETS
from alexnet_jax.data.builders.preparation import Request, prepare_dataset
from alexnet_jax.data.records import Records
from alexnet_jax.errors import UserError

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


@pytest.mark.slow
@pytest.mark.parametrize("network", ["tiny_tanh", "small"])
def test_the_recipe_of_the_page_trains(fractals_dir, tmp_path, network):
    recipe = tmp_path / "my_recipe.py"
    recipe.write_text("\n\n".join(BLOCKS))
    values = {
        "data.dir": fractals_dir,
        "data.name": FRACTALS,
        "model.name": network,
        "train.batch_size": 8,
        "train.steps": 3,
        "eval.batch_size": 24,
        "log.every_steps": 1,
    }
    options = [f"--config.{key}={value}" for key, value in values.items()]
    command = [sys.executable, "-m", "alexnet_jax.main", f"--config={recipe}"]
    done = subprocess.run(
        [*command, f"--workdir={tmp_path}/run", *options],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "run" / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    rates = [line["learning_rate"] for line in lines if line["kind"] == "train"]
    # The whole rate, then divided by the roots of 2 and 3.
    assert rates == pytest.approx([1e-4, 0.7071068e-4, 0.5773503e-4], rel=1e-5)
    # There are ten classes.
    evaluations = [line for line in lines if line["kind"] == "eval"]
    assert [line["top10_error"] for line in evaluations] == [0.0] * len(evaluations)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["ten_crop"]["top10_error"] == 0.0
