"""Train a few steps in every layout on eight fake devices; a process of its own, for its devices.

The steps are computed in float64. In float32 a rounding that decides a close race in a max pool
moves the losses by 1e-3 some ten steps later, between any two layouts, and between one device and
two; in float64 there are none so close, and what is left is whether the layouts do the same.

Prints JSON: by name of the run, the losses, a hash of the initial parameters, and the text of the
compiled step. What the devices exchange, parameters and gradients, is float32 in float64 steps too.
"""

import json
from functools import partial

import jax

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from alexnet_jax.data.augment import (  # noqa: E402
    Augmentation,
    add_color_noise,
    random_crop,
    random_flip,
)
from alexnet_jax.data.mixup import mix_images  # noqa: E402
from alexnet_jax.data.preprocessing import Preprocessing  # noqa: E402
from alexnet_jax.models import create_model, find_spec  # noqa: E402
from alexnet_jax.models.alexnet import AlexNet  # noqa: E402
from alexnet_jax.parallel.mesh import make_mesh, to_devices  # noqa: E402
from alexnet_jax.runs.results import parameters_sha256  # noqa: E402
from alexnet_jax.training.averaging import update_average  # noqa: E402
from alexnet_jax.training.loss import smoothed_cross_entropy  # noqa: E402
from alexnet_jax.training.optimizer import krizhevsky_sgd  # noqa: E402
from alexnet_jax.training.state import abstract_state, create_state  # noqa: E402
from alexnet_jax.training.step import make_train_step  # noqa: E402

STEPS = 12
RATE = 0.01
BATCH = 16
SIDE, CROP = 64, 56  # Pixels.

_NOISE = {
    "color_noise": lambda step: jnp.float32(0.1),
    "pca_eigenvectors": np.eye(3, dtype=np.float32),
    "pca_std": np.full(3, 60, np.float32),
}
AUGMENTATION = Augmentation(
    preprocessing=Preprocessing(np.full((SIDE, SIDE, 3), 120, np.float32), np.ones(3)),
    crop_size=CROP,
    crop=partial(random_crop, group_size=1),
    augments={
        "flip": partial(random_flip, group_size=1),
        "color_noise": partial(add_color_noise, **_NOISE),
    },
    divisor=lambda step: jnp.float32(1.1),
)

# By name: layout, size of the second axis, devices, microbatches.
RUNS = {
    "one device": ("data", None, 1, 1),
    "data": ("data", None, 8, 1),
    "hybrid": ("hybrid", 4, 8, 1),
    "columns": ("columns", None, 8, 1),
    "fsdp": ("fsdp", 4, 8, 1),
    "hybrid in parts": ("hybrid", 4, 8, 2),
}

# The same with mixup, smoothed labels and a moving average, whose programs nobody reads.
MODERN_RUNS = {f"modern, {name}": settings for name, settings in RUNS.items()}
_SWITCHES = {
    "loss": partial(smoothed_cross_entropy, label_smoothing=0.1),
    "mix": partial(mix_images, mixup=0.5),
    "update_average": partial(update_average, ema_decay=0.9),
}


def make_batches():
    """Three batches of coarse blocks under noise."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 128, (3, BATCH, SIDE // 16, SIDE // 16, 3))
    blocks = blocks.repeat(16, axis=2).repeat(16, axis=3)
    images = (blocks + rng.integers(0, 128, blocks.shape)).astype(np.uint8)
    return [{"image": image, "label": np.arange(BATCH, dtype=np.int32) % 4} for image in images]


def _rate(step):
    return jnp.float32(RATE)


def build(mesh, parts, modern):
    """Return the step, and what describes the state."""
    model = AlexNet(find_spec("tiny"), 4, jnp.float64)  # `create_model` takes no float64.
    optimizer = krizhevsky_sgd(_rate, 0.9, 0.0005, 2.0)
    switches = dict(_SWITCHES) if modern else {}
    described = abstract_state(model, optimizer, CROP, mesh, averaged=modern)
    switches |= {"described": described, "plateau_factor": 0.1, "num_microbatches": parts}
    step = make_train_step(model, optimizer, _rate, AUGMENTATION, 3, mesh, **switches)
    return step, described


def create(mesh, averaged):
    model, optimizer = create_model("tiny", 4), krizhevsky_sgd(RATE, 0.9, 0.0005, 2.0)
    described = abstract_state(model, optimizer, CROP, mesh, averaged)
    return jax.block_until_ready(create_state(model, optimizer, CROP, 3, mesh, described))


def run(layout, model_axis, devices, parts, modern=False):
    mesh = make_mesh(layout, model_axis, jax.devices()[:devices])
    batches = [to_devices(batch, mesh) for batch in make_batches()]
    step, described = build(mesh, parts, modern)
    step = step.lower(described, batches[0]).compile()
    state = create(mesh, averaged=modern)
    sha256 = parameters_sha256(state.params)
    losses = []
    for number in range(STEPS):
        state, metrics = step(state, batches[number % len(batches)])
        losses.append(float(metrics["loss"]))  # Waits: fake devices must not run ahead.
    norms = [jnp.linalg.norm(leaf).item() for leaf in jax.tree.leaves(state.average)]
    return {
        "losses": losses,
        "parameters_sha256": sha256,
        "program": None if modern else step.as_text(),
        "norms_of_average": norms,
    }


if __name__ == "__main__":
    runs = {name: run(*settings) for name, settings in RUNS.items()}
    runs |= {name: run(*settings, modern=True) for name, settings in MODERN_RUNS.items()}
    print(json.dumps(runs))
