"""How much memory a piece of work takes at its peak, measured in a process of its own."""

import os
import subprocess
import sys

from short_run import REPOSITORY

# From the status file and not from getrusage, whose peak begins with the parent's size.
_PEAK = """
def print_peak():
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    print("peak", int(line.split()[1]) << 10, flush=True)
"""


def run_measured(code, *arguments, timeout=300):
    """Run Python code, and return what it printed and the most bytes of memory it held."""
    paths = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests" / "faults")])
    done = subprocess.run(
        [sys.executable, "-c", f"{_PEAK}\n{code}\nprint_peak()", *map(str, arguments)],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": paths, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr
    out, _, peak = done.stdout.rpartition("peak ")
    return out, done.stderr, int(peak)
