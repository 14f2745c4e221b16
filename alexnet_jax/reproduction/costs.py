"""What a claim costs on ImageNet: seeds, runs, and hours on a device whose step was measured."""

from dataclasses import dataclass

from alexnet_jax.config.recipes import find_recipe, load_recipe
from alexnet_jax.diagnosis.elsewhere import measured_elsewhere
from alexnet_jax.reproduction.claims import Claim, Claims, Setting
from alexnet_jax.reproduction.seed_noise import binary_deviation
from alexnet_jax.sweeps.statistics import seeds_needed

IMAGENET = "imagenet2012"
# Standard deviation of a run's top-1 error, in percentage points. Equal runs of the 2012 log differ
# by 0.2 to 0.3; two runs differ by 1.13 standard deviations on average.
ASSUMED_DEVIATION = 0.2
_TRAIN_IMAGES, _VALIDATION_IMAGES = 1_281_167, 50_000  # Of ImageNet 2012.
_TOP1_ERROR = 0.407  # Paper, table 2.


@dataclass(frozen=True)
class Cost:
    """What trying a claim on ImageNet takes."""

    seeds: int | None  # That tell the published difference from zero; None where that is unknown.
    runs: int  # With these seeds, or with one.
    steps: int  # Of a run.
    hours: tuple[tuple[str, float], ...]  # Of a run's steps, by device that somebody measured.


def predicted_deviation() -> float:
    """Return what the formula for two classes (`seed_noise`) gives on ImageNet, in points."""
    return 100 * binary_deviation(_TOP1_ERROR, _VALIDATION_IMAGES)


def imagenet_cost(claims: Claims, claim: Claim) -> Cost | None:
    """Return what a claim costs on ImageNet; None where its experiment has no setting for it."""
    setting = claims.experiments[claim.experiment].data.get(IMAGENET)
    if setting is None:
        return None
    seeds = None
    # How ten crops or ensembles differ from run to run is not known.
    if claim.difference is not None and claim.measure == "error":
        *_, times = sorted(claim.runs.values())
        seeds = seeds_needed(claim.difference, ASSUMED_DEVIATION, times)
    return Cost(seeds, (seeds or 1) * sum(claim.runs.values()), *_steps_and_hours(setting))


def _steps_and_hours(setting: Setting) -> tuple[int, tuple[tuple[str, float], ...]]:
    config = load_recipe(find_recipe(setting.config))
    config.update_from_flattened_dict(dict(setting.overrides))
    steps = round(config.train.epochs * _TRAIN_IMAGES / config.train.batch_size)
    known = measured_elsewhere(config.model.name, "float32", "fast", config.train.batch_size)
    return steps, tuple((row["device"], steps * row["milliseconds"] / 3.6e6) for row in known)
