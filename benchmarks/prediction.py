"""The rate of predict on a folder of images, against that of evaluate on the same images.

  python -m benchmarks.prediction --workdir=runs/demo --data_dir=data --out=FILE

The validation images of the run's data set are written into a folder, several times until there are
--images of them, byte for byte as the records hold them. Both decode every image. The two are
measured in turn in one process, after a first pass that compiles; predict also formats its JSON
lines. With --memory it also measures the peak memory of predict, started as a user would, on the
folder and on --memory times as many paths of standard input.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from alexnet_jax.evaluation.scoring import evaluate_split
from alexnet_jax.monitoring.provenance import describe_environment
from alexnet_jax.parallel.mesh import make_data_mesh
from alexnet_jax.parallel.prefetch import prefetch_to_device
from alexnet_jax.parallel.runtime import configure_jax
from alexnet_jax.prediction.classification import classify
from alexnet_jax.prediction.classifier import from_workdir
from alexnet_jax.prediction.image_paths import images_below
from alexnet_jax.prediction.output import as_json
from alexnet_jax.runs.run import make_evaluation_batches, open_split
from alexnet_jax.runs.trained import load_trained
from alexnet_jax.system.cores import usable_cores


def write_images(workdir: Path, data_dir: Path, folder: Path, count: int) -> None:
    """Write `count` validation images as files, as they are in the records."""
    config = load_trained(workdir, make_data_mesh()).config
    config.data.update(dir=str(data_dir), source="records")
    records = open_split(config, "validation").records
    for number in range(count):
        example = records[number % len(records)]
        (folder / f"{number:06}.jpg").write_bytes(example["image"])


def evaluating(workdir: Path, data_dir: Path, views: str) -> Callable[[], int]:
    """Return a function that evaluates the run and returns the number of images."""
    mesh = make_data_mesh()
    trained = load_trained(workdir, mesh)
    config = trained.config
    config.data.update(dir=str(data_dir), source="records")
    validation = make_evaluation_batches(config, mesh)

    def evaluate() -> int:
        batches = prefetch_to_device(validation, 0, config.data.threads or usable_cores(), mesh)
        evaluate_split([trained.predict], batches, validation.count, views, mesh)
        return validation.count

    return evaluate


def predicting(workdir: Path, folder: Path, views: str) -> Callable[[], int]:
    """Return a function that classifies the folder and returns the number of images."""
    classifier = from_workdir(workdir)

    def predict() -> int:
        found = classify(classifier, images_below(folder), views)
        return sum(1 for each in found if as_json(each, classifier.class_names))

    return predict


def rates(functions: dict[str, Callable[[], int]], turns: int) -> dict[str, list[float]]:
    """Return images per second of each function, by turn."""
    found: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(turns + 1):
        for name, function in functions.items():
            begin = time.perf_counter()
            count = function()
            if turn:  # The first one compiles.
                found[name].append(round(count / (time.perf_counter() - begin), 1))
    return found


def peak_memory(workdir: Path, views: str, paths: Iterator[Path], count: int) -> float:
    """Return the peak resident memory, in MB, of predict on `count` paths of standard input."""
    command = [sys.executable, "-m", "alexnet_jax.predict", f"--workdir={workdir}", "--json"]
    process = subprocess.Popen(
        [*command, f"--views={views}", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with process.stdin:
        process.stdin.writelines(f"{path}\n".encode() for path in itertools.islice(paths, count))
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, status
    return round(usage.ru_maxrss / 1e3, 1)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--data_dir", type=Path, required=True)
    parser.add_argument("--views", default="center", choices=["center", "ten_crop"])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--memory", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    configure_jax()
    load = os.getloadavg()[0]  # Of other programs.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(given.workdir, given.data_dir, folder, given.images)
        functions = {
            "evaluate": evaluating(given.workdir, given.data_dir, given.views),
            "predict": predicting(given.workdir, folder, given.views),
        }
        found = rates(functions, given.turns)
        ratios = [
            predict / evaluate
            for evaluate, predict in zip(found["evaluate"], found["predict"], strict=True)
        ]
        result = {
            "network": load_trained(given.workdir, make_data_mesh()).config.model.name,
            "views": given.views,
            "load_average_before": load,
            "images_per_second": found,
            "ratio": round(statistics.median(ratios), 3),
        }
        if given.memory:
            paths = list(images_below(folder))
            result["peak_megabytes"] = {
                count: peak_memory(given.workdir, given.views, itertools.cycle(paths), count)
                for count in (len(paths), given.memory * len(paths))
            }
    result["environment"] = describe_environment()
    given.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps({key: result[key] for key in result if key != "environment"}, indent=2))


if __name__ == "__main__":
    main()
