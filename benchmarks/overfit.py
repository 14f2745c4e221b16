"""Let the full-size `original` network learn 128 fixed images of 16 classes by heart.

  python -m benchmarks.overfit --out=benchmarks/results/overfit.json

The images are fractals of 500x375 pixels; no augmentation, dropout as in 2012. Stops when the mean
training loss over all 128 images, dropout on, is below 0.1.
"""

import argparse
import dataclasses
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from alexnet_jax.data.builders.fractals import Fractals
from alexnet_jax.data.image_source import DecodedImages
from alexnet_jax.data.pixel_store.statistics_file import compute_statistics, save_statistics
from alexnet_jax.data.records import Records
from alexnet_jax.monitoring.provenance import describe_environment
from alexnet_jax.parallel.prefetch import prefetch_to_device
from alexnet_jax.runs.run import build_run
from configs import imagenet

CLASSES, PER_CLASS, BATCH = 16, 8, 32
TARGET = 0.1


def make_images(data_dir: Path) -> None:
    """Write 128 training images, and the 16 for validation that every data set has."""
    config = dataclasses.replace(
        Fractals.find_config("imagenet_like"),
        name="overfit",
        num_classes=CLASSES,
        train_per_class=PER_CLASS,
        validation_per_class=1,
    )
    builder = Fractals(config=config, data_dir=str(data_dir), file_format="array_record")
    builder.download_and_prepare()
    records = Records(data_dir, "fractals/overfit", "train")
    save_statistics(compute_statistics(DecodedImages(records, 256)), records.directory)


def main() -> None:
    """Train until the target or the step limit; write what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--learning_rate", type=float, default=0.01)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_images(Path(folder))
        config = imagenet.get_config()
        config.data.update(name="fractals/overfit", dir=folder)
        config.model.num_classes = CLASSES
        config.augment.update(crop="center", flip=False, color_noise=0.0)
        config.schedule.update(name="constant", learning_rate=arguments.learning_rate)
        config.train.update(batch_size=BATCH, steps=arguments.steps)
        run = build_run(config)
        state, losses, start = run.experiment.create_state(), [], time.perf_counter()
        epoch = CLASSES * PER_CLASS // BATCH
        for step, batch in enumerate(
            prefetch_to_device(run.training, 0, run.threads, run.experiment.mesh), start=1
        ):
            state, metrics = run.experiment.train_step(state, batch)
            losses.append(float(metrics["loss"]))
            if step % epoch == 0:
                mean = float(np.mean(losses[-epoch:]))
                print(
                    f"step {step}: loss {mean:.4f}, {time.perf_counter() - start:.0f} s", flush=True
                )
                if mean < TARGET:
                    break
    result = {
        "reached": mean < TARGET,
        "steps": len(losses),
        "final_loss": mean,
        "seconds": time.perf_counter() - start,
        "batch_size": BATCH,
        "loss_by_epoch": np.mean(np.reshape(losses, (-1, epoch)), axis=1).round(4).tolist(),
        "environment": describe_environment(),
    }
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
