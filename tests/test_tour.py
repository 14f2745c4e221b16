"""The notebook runs from its first cell to its last, with shorter training."""

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
    shorter, changed = re.subn(r"train\.epochs = [\d.]+", "train.steps = 8", code)
    assert changed == 2 and "%pip install" in code
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
