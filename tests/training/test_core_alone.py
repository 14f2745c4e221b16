import os
import subprocess
import sys
from pathlib import Path

import pytest

import alexnet_jax


@pytest.mark.slow
def test_the_core_trains_where_no_other_room_can_be_imported():
    program = Path(__file__).parent / "core_alone.py"
    places = os.environ | {"PYTHONPATH": str(Path(alexnet_jax.__file__).parents[1])}
    done = subprocess.run([sys.executable, program], env=places, capture_output=True, text=True)
    assert not done.returncode, done.stderr
