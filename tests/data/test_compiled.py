import subprocess
import sys

import pytest

SCRIPT = """
import sys
import numpy as np
from alexnet_jax.data.resize import scale_centre
scale_centre(np.zeros((8, 8, 4), np.uint8), np.empty((4, 4, 3), np.uint8))
print("scipy.linalg" in sys.modules)
import scipy.linalg
print(scipy.linalg.det([[2]]))
"""


@pytest.mark.slow
def test_compiled_loops_do_not_bring_linear_algebra():
    output = subprocess.check_output([sys.executable, "-c", SCRIPT], text=True)
    assert output.split() == ["False", "2.0"]
