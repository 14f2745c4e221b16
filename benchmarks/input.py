"""Input against peers: images a second from JPEGs or pixels to uint8 batches, in turn.

  python -m benchmarks.input --out=benchmarks/results/input_cpu.json

Needs requirements-peers.txt. DALI joins with `--dali_python=…`, the interpreter of an environment
that holds nvidia-dali-cuda120 and numpy; FFCV with `--ffcv_python=…`, of one that holds ffcv. 2,000
JPEGs, their records and their pixel store are made under `--folder` once. All contestants
stay alive; each turn lets them run one after the other while the rest sleep.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from alexnet_jax.monitoring.provenance import describe_environment
from benchmarks.contestants import BATCH, CONTESTANTS, THREADS
from benchmarks.natural_images import write_images

IMAGES = 2_000
PAUSE = 1.0  # Seconds in which a contestant's read-ahead comes to rest.

# What is asked: at least so many times the peer's rate.
BOUNDS = {
    ("records", "torch, PIL, torchvision transforms"): 2.0,
    ("records", "torch, cv2 area"): 1.2,
    ("records", "torch, simplejpeg, torch antialias"): 1.2,
    ("records", "Grain, simplejpeg, cv2 area"): 1.2,
    ("records", "DALI on CPU"): 1.2,
    ("records", "simplejpeg decoding alone"): 0.65,
    ("store", "FFCV, raw pixels"): 1.0,
}


def make_data(folder: Path) -> None:
    """Write the images, and prepare them as a user would."""
    if not (folder / "source").exists():
        write_images(folder / "source.part" / "train", IMAGES)
        (folder / "source.part").rename(folder / "source")
    prepare = ["-m", "alexnet_jax.prepare", "--dataset=folder", f"--source={folder / 'source'}"]
    prepare += [f"--data_dir={folder / 'data'}", "--store"]
    subprocess.run([sys.executable, *prepare], check=True)


def start(name: str, python: str, folder: Path, seconds: float) -> subprocess.Popen:
    """Start a contestant's process; it waits for its first turn."""
    command = [python, "-m", "benchmarks.contestants", name, str(folder), str(seconds)]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, bufsize=1, **pipes)


def turn(name: str, process: subprocess.Popen) -> float:
    """Let one contestant run; returns its images a second."""
    print("go", file=process.stdin)
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError(f"{name} ended with exit code {process.wait()}")
    time.sleep(PAUSE)
    return float(answer)


def compare(processes: dict[str, subprocess.Popen], turns: int) -> dict[str, list[float]]:
    """Run all contestants in turn; one turn before the first is thrown away."""
    rates: dict[str, list[float]] = {name: [] for name in processes}
    for number in range(turns + 1):
        for name, process in processes.items():
            rate = turn(name, process)
            print(f"turn {number}: {name}: {rate:,.0f} images/s", flush=True)
            if number:
                rates[name].append(rate)
    return rates


def ratios(rates: dict[str, list[float]]) -> list[dict]:
    """Return, for each bound whose both sides ran, the median of the turns' ratios."""
    found = []
    for (name, peer), bound in BOUNDS.items():
        if name in rates and peer in rates:
            ratio = statistics.median(a / b for a, b in zip(rates[name], rates[peer], strict=True))
            found.append({"contestant": name, "peer": peer, "ratio": ratio, "asked": bound})
    return found


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("data/input_benchmark"))
    parser.add_argument("--dali_python")
    parser.add_argument("--ffcv_python")
    parser.add_argument("--only", nargs="*", help="names of contestants, default all")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each measurement")
    arguments = parser.parse_args()
    make_data(arguments.folder)
    pythons = dict.fromkeys(CONTESTANTS, sys.executable)
    pythons["DALI on CPU"] = arguments.dali_python
    pythons["FFCV, raw pixels"] = arguments.ffcv_python
    names = [name for name in arguments.only or CONTESTANTS if pythons[name]]
    processes = {
        name: start(name, pythons[name], arguments.folder, arguments.seconds) for name in names
    }
    try:
        rates = compare(processes, arguments.turns)
    finally:
        for process in processes.values():
            process.terminate()
    # Paths of the machine stay out of the file.
    result = describe_environment() | {"threads": THREADS, "batch": BATCH}
    only = [f"--only {' '.join(map(repr, names))}"] if arguments.only else []
    options = ["--out=… --dali_python=… --ffcv_python=…", f"--turns={arguments.turns}", *only]
    result["command"] = " ".join(["python -m benchmarks.input", *options])
    result["images_per_second"] = {
        name: {"median": statistics.median(values), "turns": sorted(values)}
        for name, values in rates.items()
    }
    result["ratios"] = ratios(rates)
    for row in result["ratios"]:
        print("{contestant} / {peer}: {ratio:.2f} (asked {asked})".format(**row))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
