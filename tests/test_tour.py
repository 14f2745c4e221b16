"""The notebook runs from its first cell to its last, with fewer images and shorter training."""

import json
import os
import re
import subprocess
import sys

import pytest
from short_run import REPOSITORY


@pytest.mark.slow
def test_the_tour_runs(tmp_path):
    cells = json.loads((REPOSITORY / "docs" / "tour.ipynb").read_text())["cells"]
    code = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    data = '"fractals/demo", folder / "data"'
    assert code.count(data) == 1 and "%pip install" in code
    few = code.replace(data, f"{data}, images_per_class=60")
    small = r'\1.train.update(steps=8, batch_size=16); \1.data.name = "fractals/demo_60"'
    shorter, changed = re.subn(r"(\w+)\.train\.epochs = [\d.]+", small, few)
    assert changed == 2
    # Not as a file, which the processes that draw the fractals would run again.
    environment = os.environ | {"MPLBACKEND": "Agg", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", shorter],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "'relu'" in done.stdout and (tmp_path / "tour" / "run" / "result.json").exists()
