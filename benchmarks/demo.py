"""Run the demo on three seeds, and time how soon its first step is done.

  python -m benchmarks.demo --out=benchmarks/results/demo_cpu.json

Needs `make demo` once, for the environment and the data.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from alexnet_jax.monitoring.provenance import describe_environment
from benchmarks.first_step import measure_starts


def run_seed(folder: Path, seed: int) -> dict[str, float]:
    """Train and evaluate the demo with `seed`; returns wall time and errors."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "alexnet_jax.main", "--config=configs/demo.py"]
    options = [f"--workdir={folder}/seed{seed}", f"--config.train.seed={seed}"]
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
    result = json.loads((folder / f"seed{seed}" / "result.json").read_text())
    return {
        "seed": seed,
        "wall_seconds": time.perf_counter() - begin,
        "images_per_second": result["images_per_second"],
        "center_top1_error": result["center"]["top1_error"],
        "ten_crop_top1_error": result["ten_crop"]["top1_error"],
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        starts = measure_starts(["--config=configs/demo.py"], Path(folder))
        seeds = [run_seed(Path(folder), seed) for seed in range(3)]
    result = {
        "first_step": starts,
        "seeds": seeds,
        "environment": describe_environment(),
    }
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
