"""The command `alexnet-jax sweep` by its older name, which launch/slurm/sweep.sbatch runs."""

import runpy
import sys
from pathlib import Path

if not __package__:  # Run as `python launch/sweep.py`: the packages are one folder up.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

if __name__ == "__main__":
    runpy.run_module("alexnet_jax.sweep", run_name="__main__", alter_sys=True)
