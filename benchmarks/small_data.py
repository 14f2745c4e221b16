"""Small data: configs/small_data.py against a plain PyTorch CNN, error and processor time.

  python -m benchmarks.small_data --source=DIR --out=benchmarks/results/small_data_cpu.json

DIR holds the four files of Fashion-MNIST. Both train on its first 1,000 training images of each
class and are evaluated on its 10,000 test images, in turn, each seed in a process of its own. The
processor time is that of the whole process: imports, compilation without a cache, and evaluation,
too. Ours reads the pixel store that `prepare` made once, whose time is in the result. Needs PyTorch
(requirements-peers.txt).
"""

import argparse
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean

import numpy as np

from alexnet_jax.data.builders.idx import find_file, read_idx

_PER_CLASS = 1000


def write_subset(source: Path, folder: Path) -> None:
    """Write IDX files of the first images of each class, and of the whole test set."""
    arrays = {
        name: read_idx(find_file(source, name), axes)
        for name, axes in (
            ("train-images-idx3-ubyte", 3),
            ("train-labels-idx1-ubyte", 1),
            ("t10k-images-idx3-ubyte", 3),
            ("t10k-labels-idx1-ubyte", 1),
        )
    }
    labels = arrays["train-labels-idx1-ubyte"]
    first = [np.flatnonzero(labels == label)[:_PER_CLASS] for label in range(10)]
    kept = np.sort(np.concatenate(first))
    for name, array in arrays.items():
        part = array[kept] if name.startswith("train") else array
        header = bytes([0, 0, 8, part.ndim]) + struct.pack(f">{part.ndim}I", *part.shape)
        (folder / name).write_bytes(header + part.tobytes())


def train_peer(source: Path, seed: int) -> float:
    """Train a plain CNN with PyTorch for three epochs; returns its top-1 error."""
    import torch
    from torch import nn

    def load(prefix: str) -> tuple["torch.Tensor", "torch.Tensor"]:
        images = read_idx(source / f"{prefix}-images-idx3-ubyte", 3).astype(np.float32)
        labels = read_idx(source / f"{prefix}-labels-idx1-ubyte", 1).astype(np.int64)
        return torch.from_numpy(images[:, None] / 255 - 0.3), torch.from_numpy(labels)

    torch.manual_seed(seed)
    (images, labels), (held_out, answers), epochs, batch = load("train"), load("t10k"), 3, 64
    model = nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10)),
    )
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    steps = epochs * (len(images) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.005, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(images))[: steps // epochs * batch].split(batch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[rows]), labels[rows]).backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.no_grad():
        found = torch.cat([model(part).argmax(1) for part in held_out.split(500)])
    return float((found != answers).float().mean())


def measure(command: list[str]) -> tuple[str, float]:
    """Run a command; returns its output and its processor time in seconds."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": cache}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True, env=environment
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure both, seed by seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--peer", type=int, help="train the peer with this seed, and end")
    arguments, overrides = parser.parse_known_args()
    if arguments.peer is not None:
        print(train_peer(arguments.source, arguments.peer))
        return
    # Not above: the peer's time should not hold what it does not need.
    from alexnet_jax.monitoring.provenance import describe_environment

    runs: dict[str, list[dict]] = {"ours": [], "torch": []}
    with tempfile.TemporaryDirectory() as folder:
        files, data = Path(folder) / "files", Path(folder) / "data"
        files.mkdir()
        write_subset(arguments.source, files)
        module = [sys.executable, "-m"]
        prepare = ["alexnet_jax.prepare", "--dataset=fashion_mnist", f"--source={files}"]
        _, once = measure([*module, *prepare, f"--data_dir={data}", "--image_size=28", "--store"])
        for seed in range(arguments.seeds):
            workdir = Path(folder) / f"run{seed}"
            ours = ["alexnet_jax.main", "--config=configs/small_data.py", f"--workdir={workdir}"]
            ours += [f"--config.data.dir={data}", f"--config.train.seed={seed}", *overrides]
            _, seconds = measure([*module, *ours])
            result = json.loads((workdir / "result.json").read_text())
            errors = {views: result[views]["top1_error"] for views in ("center", "ten_crop")}
            runs["ours"].append({"seed": seed, "cpu_seconds": seconds, **errors})
            peer = ["benchmarks.small_data", f"--source={files}", f"--peer={seed}"]
            text, seconds = measure([*module, *peer])
            runs["torch"].append({"seed": seed, "cpu_seconds": seconds, "center": float(text)})
            print(runs["ours"][-1], runs["torch"][-1], flush=True)
    summary = {
        side: {key: mean(run[key] for run in of_side) for key in ("cpu_seconds", "center")}
        for side, of_side in runs.items()
    }
    result = {
        "command": ["python", "-m", "benchmarks.small_data", *sys.argv[1:]],
        "summary": summary,
        "prepare_cpu_seconds": once,
        "runs": runs,
        "environment": describe_environment(),
    }
    print(json.dumps(summary))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
