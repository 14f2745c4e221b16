"""What a claim costs on ImageNet: seeds, and hours on a device whose step was measured."""

from alexnet_jax.config.recipes import find_recipe, load_recipe
from alexnet_jax.diagnosis.elsewhere import measured_elsewhere
from alexnet_jax.reproduction.claims import Claim
from alexnet_jax.reproduction.seed_noise import binary_deviation
from alexnet_jax.sweeps.statistics import seeds_needed

# Standard deviation of a run's top-1 error, in percentage points. Equal runs of the 2012 log differ
# by 0.2 to 0.3; two runs differ by 1.13 standard deviations on average.
ASSUMED_DEVIATION = 0.2
_TRAIN_IMAGES, _VALIDATION_IMAGES = 1_281_167, 50_000  # Of ImageNet 2012.
_TOP1_ERROR = 0.407  # Paper, table 2.
_RECIPE = "configs/automatic.py"


def predicted_deviation() -> float:
    """Return what the formula for two classes (`seed_noise`) gives on ImageNet, in points."""
    return 100 * binary_deviation(_TOP1_ERROR, _VALIDATION_IMAGES)


def seeds_for(claim: Claim) -> int | None:
    """Return the seeds of each arm that tell the published difference from zero; None without."""
    if claim.difference is None:
        return None
    return seeds_needed(claim.difference, ASSUMED_DEVIATION)


def imagenet_steps() -> int:
    """Return the steps of a run on ImageNet."""
    config = load_recipe(find_recipe(_RECIPE))
    return round(config.train.epochs * _TRAIN_IMAGES / config.train.batch_size)


def imagenet_hours() -> list[tuple[str, float]]:
    """Return the hours of a run's steps by device, where somebody measured the step."""
    config = load_recipe(find_recipe(_RECIPE))
    known = measured_elsewhere(config.model.name, "float32", "fast", config.train.batch_size)
    return [(row["device"], imagenet_steps() * row["milliseconds"] / 3.6e6) for row in known]
