"""What `train.deterministic` costs on a GPU, and what it gives: the training step with and without.

  python -m benchmarks.deterministic --out=benchmarks/results/deterministic_h200.json

`original`, augmentation and update included, one batch that stays on the device. Each setting runs
in processes of its own, in turn; needs jax, flax, optax and numpy alone.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

BATCH, STEPS, TURNS = 128, 200, 3
FLAG = "--xla_gpu_deterministic_ops=true"


def measure(dtype: str) -> None:
    """Print the median milliseconds a step, and a hash of the parameters after all of them."""
    import jax
    import numpy as np

    from alexnet_jax.data.augment import Augmentation, add_color_noise, random_crop, random_flip
    from alexnet_jax.data.preprocessing import Preprocessing
    from alexnet_jax.models import create_model
    from alexnet_jax.parallel.mesh import make_data_mesh, to_devices
    from alexnet_jax.runs.results import parameters_sha256
    from alexnet_jax.training.optimizer import krizhevsky_sgd
    from alexnet_jax.training.state import abstract_state, create_state
    from alexnet_jax.training.step import make_train_step

    preprocessing = Preprocessing(np.full((256, 256, 3), 118, np.float32), np.ones(3, np.float32))
    augmentation = Augmentation(
        preprocessing=preprocessing,
        crop_size=224,
        crop=partial(random_crop, group_size=1),
        augments={
            "flip": partial(random_flip, group_size=1),
            "color_noise": partial(
                add_color_noise,
                color_noise=lambda step: 0.1,
                pca_eigenvectors=np.eye(3, dtype=np.float32),
                pca_std=np.float32([120, 40, 20]),
            ),
        },
        divisor=lambda step: 1.1,
    )
    mesh = make_data_mesh()
    model = create_model("original", dtype=dtype)
    optimizer = krizhevsky_sgd(0.01, momentum=0.9, weight_decay=0.0005, bias_rate_multiplier=2.0)
    described = abstract_state(model, optimizer, 224, mesh)
    step = make_train_step(
        model,
        optimizer,
        lambda step: 0.01,
        augmentation,
        seed=0,
        mesh=mesh,
        described=described,
        plateau_factor=0.1,
    )
    state = create_state(model, optimizer, 224, 0, mesh, described)
    rng = np.random.default_rng(0)
    batch = to_devices(
        {
            "image": rng.integers(0, 256, (BATCH, 256, 256, 3)).astype(np.uint8),
            "label": rng.integers(0, 1000, BATCH).astype(np.int32),
        },
        mesh,
    )
    seconds = []
    for number in range(STEPS):
        begin = time.perf_counter()
        state, metrics = step(state, batch)
        jax.block_until_ready(metrics)
        if number >= 20:
            seconds.append(time.perf_counter() - begin)
    device = jax.devices()[0].device_kind
    print(
        json.dumps(
            {
                "milliseconds": statistics.median(seconds) * 1000,
                "parameters_sha256": parameters_sha256(state.params),
                "device": device,
                "jax": jax.__version__,
            }
        )
    )


def run(dtype: str, deterministic: bool) -> dict:
    """Measure in a fresh process."""
    environment = os.environ | {"XLA_FLAGS": FLAG if deterministic else ""}
    command = [sys.executable, "-m", "benchmarks.deterministic", f"--measure={dtype}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure all settings in turn and write the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", choices=["float32", "bfloat16"])
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure)
        return
    result: dict = {"command": ["python", "-m", "benchmarks.deterministic", *sys.argv[1:]]}
    result |= {"python": platform.python_version(), "batch_size": BATCH, "steps": STEPS}
    for dtype in ("float32", "bfloat16"):
        turns = [(run(dtype, False), run(dtype, True)) for _ in range(TURNS)]
        result |= {name: turns[0][0][name] for name in ("device", "jax")}
        for name, side in (("free", 0), ("deterministic", 1)):
            result[f"{dtype}_{name}"] = {
                "milliseconds": sorted(turn[side]["milliseconds"] for turn in turns),
                "different_parameters": len({turn[side]["parameters_sha256"] for turn in turns}),
            }
        result[f"{dtype}_ratio"] = statistics.median(
            slow["milliseconds"] / fast["milliseconds"] for fast, slow in turns
        )
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
