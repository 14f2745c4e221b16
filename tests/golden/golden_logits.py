"""Golden logits: a few numbers of every network from seed 0, which must not move."""

from pathlib import Path

import jax
import numpy as np

from alexnet_jax.models import MODELS, create_model

GOLDEN_LOGITS = Path(__file__).with_name("golden_logits.json")
KEPT = 5  # Logits of each image.

# By which a logit may differ, relative to the largest of its network. Measured on an AMD EPYC
# (Zen 4) between AVX2 and SSE4.2 (--xla_cpu_max_isa): 1.1e-6 at most. Other processors
# and their vectors may round differently; another draw, layer or constant moves it by far more.
TOLERANCE = 1e-5

Logits = dict[str, list[list[float]]]  # By network, image and class.


def first_logits(name: str) -> list[list[float]]:
    """Return the first logits of two images of noise, with the parameters of seed 0."""
    model = create_model(name)
    size = model.spec.crop_size
    noise = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    images = noise.astype(np.float32) - 120

    variables = jax.jit(lambda images: model.init(jax.random.key(0), images, train=False))(images)
    logits = jax.jit(lambda variables, images: model.apply(variables, images, train=False))(
        variables, images
    )
    return np.asarray(logits[:, :KEPT], np.float64).tolist()


def difference(golden: list[list[float]], logits: list[list[float]]) -> float:
    """Return the largest difference, relative to the largest logit."""
    old, new = np.asarray(golden), np.asarray(logits)
    return float(np.abs(new - old).max() / np.abs(old).max())


def record_logits() -> Logits:
    """Record every network's."""
    return {name: first_logits(name) for name in MODELS}


def logits_changes(golden: Logits, measured: Logits) -> list[str]:
    """Say, a line a network, what changed."""
    return [
        f"logits/{name}: by {difference(golden[name], logits):.1e}"
        if name in golden
        else f"logits/{name}: new"
        for name, logits in measured.items()
        if golden.get(name) != logits
    ]


def logits_faults(golden: Logits, measured: Logits) -> list[str]:
    """Return the changes that are more than rounding."""
    moved = {
        name: logits
        for name, logits in measured.items()
        if name not in golden or difference(golden[name], logits) > TOLERANCE
    }
    return logits_changes(golden, moved)
