"""What each switch of a modern recipe gains on little data: one override of configs/small_data.py.

  python -m alexnet_jax.sweep --config=configs/small_data.py --sweep=configs/sweeps/small_data.py \
    --workdir=runs/switches --seeds=10
  python -m benchmarks.paired --workdir=runs/switches --out=FILE

The second command compares runs of the same seed. docs/recipes.md has the differences.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Switch:
    """One change of the recipe."""

    name: str
    overrides: dict[str, Any]


def get_sweep() -> list[Switch]:
    """Return the recipe itself, then its changes."""
    return [
        Switch("recipe", {}),
        Switch("no_label_smoothing", {"train.label_smoothing": 0.0}),
        Switch("mixup", {"augment.mixup": 0.2}),
        Switch("ema", {"train.ema_decay": 0.99}),
        Switch("cosine", {"schedule.name": "cosine"}),
        Switch("no_warmup", {"schedule.warmup_epochs": 0.0}),
        Switch("flip", {"augment.flip": True}),
    ]
