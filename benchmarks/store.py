"""Measure the pixel store: batches, cold reads, memory, building, the whole loop's wait for data.

  python -m alexnet_jax.prepare --dataset=fractals/imagenet_like --images_per_class=5 --store
  python -m alexnet_jax.prepare --dataset=fractals --store
  python -m benchmarks.store --data_dir=data --out=benchmarks/results/store_cpu.json PART …

Every figure is a ratio against something done in the same minute, the two in turn: copying the same
bytes between arrays with as many threads, reading the same files from end to end, decoding the same
records without writing. Parts: batches, cold, memory, building, encoding, loop.
"""

import argparse
import gc
import io
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median
from typing import Any

import jax
import numpy as np
import simplejpeg
from PIL import Image

from alexnet_jax.data.image_source import DecodedImages
from alexnet_jax.data.pixel_store.reading import PixelStore
from alexnet_jax.data.pixel_store.writing import write_store
from alexnet_jax.data.records import Records
from alexnet_jax.data.stream import TrainingBatches, read_ahead
from alexnet_jax.monitoring.provenance import describe_environment
from alexnet_jax.parallel.mesh import make_data_mesh
from alexnet_jax.parallel.prefetch import prefetch_to_device
from alexnet_jax.runs.run import build_run
from alexnet_jax.system.bounded_map import bounded_map
from alexnet_jax.training.metric_window import MetricWindow
from configs import demo, imagenet

NAME, SIZE, BATCH = "fractals/imagenet_like_5", 256, 128
THREADS = os.cpu_count() or 1
ROUNDS = 5


def alternate(**contestants: Callable[[], float]) -> dict[str, list[float]]:
    """Run each in turn, several times; returns their images per second."""
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, run in contestants.items():
            rates[name].append(round(run()))
    return rates


def with_ratio(rates: dict[str, list[float]]) -> dict[str, Any]:
    """Add the first contestant's median over the second's."""
    first, second = (median(values) for values in rates.values())
    return {"images_per_second": rates, "ratio": round(first / second, 3)}


def copy_rate(seconds: float = 1.5) -> float:
    """Copy blocks of a batch from a large array into a few small ones, on all threads."""
    source = np.ones((32 * BATCH, SIZE, SIZE, 3), np.uint8)
    targets = [np.ones((BATCH, SIZE, SIZE, 3), np.uint8) for _ in range(3 * THREADS)]
    end = time.perf_counter() + seconds

    def work(thread: int) -> int:
        copied = 0
        while time.perf_counter() < end:
            begin = (7 * copied + thread) % 32 * BATCH
            np.copyto(targets[3 * thread + copied % 3], source[begin : begin + BATCH])
            copied += 1
        return copied

    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        copied = sum(pool.map(work, range(THREADS)))
    return copied * BATCH / (time.perf_counter() - start)


def stream_rate(store: PixelStore, steps: int) -> float:
    """Read batches in training's order."""
    batches = TrainingBatches(store, BATCH, seed=0, steps=steps + 10)
    stream = read_ahead(batches, 0, THREADS)
    for _ in range(10):
        next(stream)
    start = time.perf_counter()
    count = sum(len(batch["label"]) for batch in stream)
    return count / (time.perf_counter() - start)


def measure_batches(data_dir: Path) -> dict[str, Any]:
    """From the pixel store to batches on the host, warm, against copying as many bytes."""
    store = PixelStore(data_dir, NAME, "train", SIZE)
    stream_rate(store, 100)
    return with_ratio(alternate(store=lambda: stream_rate(store, 600), memcpy=copy_rate))


def forget(paths: list[Path]) -> None:
    """Drop files from the page cache."""
    gc.collect()  # What a store has mapped stays there, and batches that remember hold on to it.
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure_cold(data_dir: Path) -> dict[str, Any]:
    """One epoch in random order from a cold cache, against the same files from end to end."""
    count = len(PixelStore(data_dir, NAME, "train", SIZE))
    paths = sorted(PixelStore(data_dir, NAME, "train", SIZE).directory.glob("train-0*.npy"))

    def shuffled() -> float:
        forget(paths)
        store = PixelStore(
            data_dir, NAME, "train", SIZE
        )  # Anew: what it has mapped is not forgotten.
        batches = TrainingBatches(store, BATCH, seed=0, steps=len(store) // BATCH)
        start = time.perf_counter()
        read = sum(len(batch["label"]) for batch in read_ahead(batches, 0, THREADS))
        return read / (time.perf_counter() - start)

    def sequential() -> float:
        forget(paths)
        buffer = bytearray(2**23)
        start = time.perf_counter()
        for path in paths:
            with path.open("rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass
        return count / (time.perf_counter() - start)

    return with_ratio(alternate(store=shuffled, sequential=sequential))


def resident_megabytes() -> float:
    """Return the resident size of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def measure_memory(data_dir: Path) -> dict[str, Any]:
    """Feed 10,000 batches to a device that adds them up; the resident size on the way."""
    store, mesh = PixelStore(data_dir, NAME, "train", SIZE), make_data_mesh()
    batches = TrainingBatches(store, BATCH, seed=0, steps=10_000)
    summarize = jax.jit(lambda images: images[:, ::64].astype(np.int32).sum())
    sizes, start = {}, time.perf_counter()
    for step, batch in enumerate(prefetch_to_device(batches, 0, THREADS, mesh), start=1):
        summarize(batch["image"]).block_until_ready()
        if step % 1_000 == 0:
            sizes[step] = resident_megabytes()
    rate = 10_000 * BATCH / (time.perf_counter() - start)
    return {"resident_megabytes": sizes, "images_per_second": round(rate)}


def measure_building(data_dir: Path) -> dict[str, Any]:
    """Write the store of all splits, against decoding the same images on all cores."""
    records = {split: Records(data_dir, NAME, split) for split in ("train", "validation")}
    count = sum(len(part) for part in records.values())

    def write() -> float:
        directory = records["train"].directory / f"pixels_{SIZE}"
        kept = directory.with_name("kept")
        directory.rename(kept)
        start = time.perf_counter()
        with redirect_stdout(io.StringIO()):
            write_store(records, NAME, SIZE)
        seconds = time.perf_counter() - start
        shutil.rmtree(directory)
        kept.rename(directory)
        return count / seconds

    def decode() -> float:
        start = time.perf_counter()
        for part in records.values():
            pixels = DecodedImages(part, SIZE)

            def read(first: int, pixels: DecodedImages = pixels) -> None:
                indices = range(first, min(first + 16, len(pixels)))
                images = np.empty((len(indices), SIZE, SIZE, 3), np.uint8)
                pixels.read_into(indices, images, np.empty(len(indices), np.int32))

            for _ in bounded_map(read, range(0, len(pixels), 16)):
                pass
        return count / (time.perf_counter() - start)

    return with_ratio(alternate(write=write, decode=decode))


def measure_encoding(data_dir: Path) -> dict[str, Any]:
    """Decode 256-pixel JPEGs of quality 95: what the store could hold instead of pixels."""
    store = PixelStore(data_dir, NAME, "train", SIZE)
    images = np.empty((2_000, SIZE, SIZE, 3), np.uint8)
    store.read_into(range(2_000), images, np.empty(2_000, np.int32))
    files = [encode(image) for image in images]
    rates = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in bounded_map(lambda part: [decode(file) for file in part], chunks(files)):
            pass
        rates.append(round(len(files) / (time.perf_counter() - start)))
    difference = np.abs(np.stack([decode(file) for file in files[:200]]) - images[:200].astype(int))
    return {
        "images_per_second": rates,
        "bytes_per_image": round(sum(map(len, files)) / len(files)),
        "raw_bytes_per_image": SIZE**2 * 3,
        "mean_difference": round(float(difference.mean()), 2),
        "largest_difference": int(difference.max()),
    }


def encode(image: np.ndarray) -> bytes:
    """Make a JPEG of quality 95."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=95)
    return file.getvalue()


def decode(file: bytes) -> np.ndarray:
    """Read a JPEG."""
    return simplejpeg.decode_jpeg(file, colorspace="RGB")


def chunks(files: list[bytes]) -> Iterator[list[bytes]]:
    """Give a thread 32 files at a time."""
    for first in range(0, len(files), 32):
        yield files[first : first + 32]


def measure_loop(data_dir: Path) -> dict[str, Any]:
    """Train; how much of the time after the first steps went into waiting for data."""
    result = {}
    for name, config, steps in (
        ("demo", demo.get_config(), 300),
        ("imagenet_like", imagenet.get_config(), 5),
    ):
        config.data.dir = str(data_dir)
        if name == "imagenet_like":
            config.data.name = NAME
        for source in ("records", "store", "device") if name == "demo" else ("records", "store"):
            config.data.source = source
            result[f"{name}, {source}"] = train(config, steps)
            print(name, source, result[f"{name}, {source}"], flush=True)
    return result


def train(config: Any, steps: int) -> dict[str, float]:
    """Do as the training loop does, without tests and checkpoints."""
    config.train.steps = steps + 2
    run = build_run(config)
    state, window = run.experiment.create_state(), MetricWindow(config.train.batch_size)
    batches = prefetch_to_device(run.training, 0, run.threads, run.experiment.mesh)
    batch = next(batches)
    for step in range(steps + 2):
        state, metrics = run.experiment.train_step(state, batch)
        asked = time.perf_counter()
        batch = next(batches, None)
        window.add(metrics, time.perf_counter() - asked)
        if step == 1:  # What came before compiled the step.
            window.close(step + 1)
    values = window.close(steps + 2)
    return {
        "steps": steps,
        "images_per_second": round(values["images_per_second"], 1),
        "data_wait_fraction": round(values["data_wait_fraction"], 5),
    }


PARTS = {
    "batches": measure_batches,
    "cold": measure_cold,
    "memory": measure_memory,
    "building": measure_building,
    "encoding": measure_encoding,
    "loop": measure_loop,
}


def main() -> None:
    """Measure the parts asked for; add them to the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("parts", nargs="+", choices=PARTS)
    arguments = parser.parse_args()
    for part in arguments.parts:
        measured = PARTS[part](arguments.data_dir)
        print(part, json.dumps(measured), flush=True)
        results = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
        results[part] = measured | {
            "command": f"python -m benchmarks.store --data_dir=data --out=… {part}",
            "environment": describe_environment(),
        }
        arguments.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
