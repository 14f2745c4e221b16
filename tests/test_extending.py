"""The recipe of docs/extending.md, put together from its lines and trained with as users do."""

import json
import re
import subprocess
import sys

import pytest
from short_run import FRACTALS, REPOSITORY

PAGE = (REPOSITORY / "docs" / "extending.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("network", ["tiny_tanh", "small"])
def test_the_recipe_of_the_page_trains(fractals_dir, tmp_path, network):
    recipe = tmp_path / "my_recipe.py"
    recipe.write_text("\n\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)))
    values = {
        "data.dir": fractals_dir,
        "data.name": FRACTALS,
        "model.name": network,
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
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    rates = [line["learning_rate"] for line in map(json.loads, lines) if line["kind"] == "train"]
    # The cosine's: the whole rate, then three quarters and a quarter of it.
    assert rates == pytest.approx([1e-4, 0.75e-4, 0.25e-4], rel=1e-5)
