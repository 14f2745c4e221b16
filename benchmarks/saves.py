"""How long a checkpoint keeps the training loop waiting, the first and later ones.

  JAX_NUM_CPU_DEVICES=8 python -m benchmarks.saves --network=tiny --layout=data

Nothing is trained: a state is saved four times. A start of its own for each network and layout,
because the first save may compile.
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp

from alexnet_jax.models import create_model
from alexnet_jax.monitoring.provenance import describe_environment
from alexnet_jax.parallel.mesh import make_mesh
from alexnet_jax.runs.checkpoints import Checkpoints
from alexnet_jax.training.optimizer import krizhevsky_sgd
from alexnet_jax.training.state import TrainState, abstract_state, create_state

SAVES = 4


def make_state(network: str, layout: str) -> TrainState:
    """Return the state of a new run with a thousand classes, on all devices."""
    mesh, model = make_mesh(layout, None), create_model(network, num_classes=1000)
    optimizer, crop = krizhevsky_sgd(0.01, 0.9, 0.0005, 2.0), model.spec.crop_size
    described = abstract_state(model, optimizer, crop, mesh)
    return jax.block_until_ready(create_state(model, optimizer, crop, 0, mesh, described))


def time_saves(state: TrainState, workdir: Path) -> list[float]:
    """Return for each save the seconds until it returns; each waits for the files of the last."""
    seconds = []
    for number in range(1, SAVES + 1):
        step = jax.device_put(jnp.int32(number), state.step.sharding)
        with Checkpoints(workdir) as checkpoints:  # Closing waits for the files.
            begin = time.perf_counter()
            checkpoints.save(replace(state, step=step))
            seconds.append(time.perf_counter() - begin)
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="tiny")
    parser.add_argument("--layout", default="data")
    given = parser.parse_args()
    state = make_state(given.network, given.layout)
    with tempfile.TemporaryDirectory() as folder:
        seconds = time_saves(state, Path(folder))
    print(json.dumps(vars(given) | {"seconds": seconds} | describe_environment()))


if __name__ == "__main__":
    main()
