"""How soon a run's first step is done, with nothing compiled and with all compiled.

  python -m benchmarks.first_step --out=benchmarks/results/first_step_cpu.json -- \
      --config=configs/imagenet.py --config.data.name=fractals/imagenet_like_5

From the start of the process to the log's line about step 1, after importing, reading and checking
the data, drawing the parameters and compiling. Behind "--" stand the arguments of
alexnet_jax.main. The compilation cache is one of its own: empty for the first starts, warm for the
others.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from alexnet_jax.monitoring.provenance import describe_environment


def seconds_to_first_step(arguments: list[str], workdir: Path, cache: Path) -> float:
    """Time a start of alexnet_jax.main until its log has step 1, then stop it."""
    begin = time.perf_counter()
    own = [f"--workdir={workdir}", "--config.log.every_steps=1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "alexnet_jax.main", *arguments, *own],
        env=os.environ | {"JAX_COMPILATION_CACHE_DIR": str(cache)},
        stdout=subprocess.DEVNULL,
    )
    log = workdir / "metrics.jsonl"
    while not (log.exists() and '"step": 1,' in log.read_text()):
        assert process.poll() is None, "the run ended before its first step"
        time.sleep(0.02)
    seconds = time.perf_counter() - begin
    process.terminate()
    process.wait()
    return seconds


def measure_starts(arguments: list[str], folder: Path, count: int = 3) -> dict[str, list[float]]:
    """Start `count` times with empty caches and `count` times with one that a start has filled."""
    cold = [
        seconds_to_first_step(arguments, folder / f"cold{i}", folder / f"cache{i}")
        for i in range(count)
    ]
    warm = [
        seconds_to_first_step(arguments, folder / f"warm{i}", folder / "cache0")
        for i in range(count)
    ]
    return {"seconds_cold": sorted(cold), "seconds_warm": sorted(warm)}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("arguments", nargs="+")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure_starts(given.arguments, Path(folder))
    result |= {"environment": describe_environment()}
    given.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
