"""The paper's claims: each as config overrides, with the published difference.

Apply the overrides of an entry to a recipe, and compare with the recipe itself:

  python -m alexnet_jax.main --config=automatic --config.model.modifications="('no_overlap',)"

A difference is the increase of the top-1 / top-5 error in percentage points. Runs that differ only
in chance differ by 0.2 to 0.3 points in the 2012 log.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Ablation:
    """One claim: the change, its published cost, and the source."""

    name: str
    overrides: dict[str, Any]
    published: str
    source: str


def get_sweep() -> list[Ablation]:
    """Return the baseline, then the claims."""
    return [
        Ablation("baseline", {}, "42.3 / 19.6 centre, 40.5 / 18.0 ten crops", "code, run 170"),
        Ablation(
            "no_normalisation",
            {"model.modifications": ("no_lrn", "no_spatial_norm")},
            "+1.4 / +1.2 (paper), +1.4 / +1.2 (run 148 over 145)",
            "paper §3.3; code, run 148: 42.034 / 19.362 against 40.664 / 18.210",
        ),
        Ablation(
            "no_conv2_normalisation",
            {"model.modifications": ("no_conv2_norms",)},
            "0.0 / +0.1 (with another schedule)",
            "code, run 167: 40.488 / 18.118 against run 170's 40.528 / 18.048; run 167 divided the "
            "rate by 1000 in all (dexp[1000,4]), run 170 by 250, so the difference is of both",
        ),
        Ablation(
            "no_overlap",
            {"model.modifications": ("no_overlap",)},
            "+0.4 / +0.3",
            "paper §3.4; code, run 147: 41.058 / 18.510, whose network is another in more than its "
            "pooling: conv2 padded by 1, conv5 not at all, pooling by ceil (55-28-26-13-11-6)",
        ),
        Ablation(
            "one_column",
            {"model.name": "one_column"},
            "+1.7 / +1.2",
            "paper §3.2; code, 145-half on ILSVRC-2010: 39.168 / 18.229, 145-2010: 37.473 / 16.999",
        ),
        Ablation(
            "separate_columns",
            {"model.modifications": ("separate_columns",)},
            "+1.2 / +1.1",
            "code, run 150: 41.828 / 19.330",
        ),
        Ablation("no_color_noise", {"augment.color_noise": 0.0}, "over +1 top-1", "paper §4.1"),
        Ablation(
            "no_dropout",
            {"model.modifications": ("no_dropout",)},
            "substantial overfitting; no number",
            "paper §4.2",
        ),
        Ablation(
            "tanh",
            {"model.modifications": ("tanh",)},
            "six times as long to 25 % training error (CIFAR-10, four layers)",
            "paper figure 1",
        ),
        *(
            Ablation(
                f"without_conv{number}",
                {"model.modifications": (f"without_conv{number}",)},
                "about +2 top-1",
                "paper §7",
            )
            for number in (2, 3, 4, 5)
        ),
    ]
