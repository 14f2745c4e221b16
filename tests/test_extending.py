"""The recipe of docs/extending.md, put together from its lines and trained with as users do."""

import json
import re
import subprocess
import sys

import pytest
from short_run import FRACTALS, REPOSITORY

PAGE = (REPOSITORY / "docs" / "extending.md").read_text()


@pytest.mark.slow
def test_the_recipe_of_the_page_trains(fractals_dir, tmp_path):
    recipe = tmp_path / "my_recipe.py"
    recipe.write_text("\n\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)))
    values = {
        "data.dir": fractals_dir,
        "data.name": FRACTALS,
        "train.batch_size": 32,
        "train.steps": 3,
        "eval.batch_size": 32,
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
    # The cosine's: the whole rate, then three quarters and a quarter of it.
    assert rates == pytest.approx([1e-4, 0.75e-4, 0.25e-4], rel=1e-5)
    # There are ten classes.
    evaluations = [line for line in lines if line["kind"] == "eval"]
    assert [line["top10_error"] for line in evaluations] == [0.0] * len(evaluations)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["ten_crop"]["top10_error"] == 0.0
