"""Run the demo on three seeds, and time how soon its first step is done.

  python -m benchmarks.demo --out=benchmarks/results/demo_cpu.json

Needs `make demo` once, for the environment and the data. The compilation cache is one of its own:
empty for the first start, warm for the others.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from alexnet_jax.training.provenance import describe_environment


def start(workdir: Path, cache: Path, *overrides: str) -> subprocess.Popen:
    """Start the demo's training as a user would."""
    command = ["-m", "alexnet_jax.main", "--config=configs/demo.py", f"--workdir={workdir}"]
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(cache)}
    return subprocess.Popen(
        [sys.executable, *command, *overrides], env=environment, stdout=subprocess.DEVNULL
    )


def seconds_to_first_step(folder: Path, cache: Path, name: str) -> float:
    """Time from the start of the process to the log's line about step 1, then stop it."""
    begin = time.perf_counter()
    process = start(folder / name, cache, "--config.log.every_steps=1")
    log = folder / name / "metrics.jsonl"
    while not (log.exists() and '"step": 1' in log.read_text()):
        assert process.poll() is None, "the demo ended before its first step"
        time.sleep(0.02)
    seconds = time.perf_counter() - begin
    process.terminate()
    process.wait()
    return seconds


def run_seed(folder: Path, cache: Path, seed: int) -> dict[str, float]:
    """Train and test the demo with `seed`; returns wall time and errors."""
    begin = time.perf_counter()
    process = start(folder / f"seed{seed}", cache, f"--config.train.seed={seed}")
    assert process.wait() == 0
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
    with tempfile.TemporaryDirectory() as name:
        folder, cache = Path(name), Path(name, "cache")
        cold = [seconds_to_first_step(folder, folder / f"cold{i}", f"c{i}") for i in range(3)]
        seconds_to_first_step(folder, cache, "warm_up")
        warm = [seconds_to_first_step(folder, cache, f"w{i}") for i in range(3)]
        seeds = [run_seed(folder, cache, seed) for seed in range(3)]
    result = {
        "seconds_to_first_step_cold": sorted(cold),
        "seconds_to_first_step_warm": sorted(warm),
        "seeds": seeds,
        "environment": describe_environment(),
    }
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
