"""The spread of equal runs under other seeds, beside what their mistakes predict.

Jordan, *On the Variance of Neural Network Training with respect to Test Sets and Distributions*
(arXiv 2304.01910).
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from alexnet_jax.reproduction.claims import BASELINE
from alexnet_jax.reproduction.logs import Log, LoggedRun
from alexnet_jax.sweeps.statistics import deviation_interval


@dataclass(frozen=True)
class SeedNoise:
    """Standard deviations of the top-1 error over seeds, in percentage points."""

    data: str  # Name of the data set.
    views: str  # "center" or "ten_crop".
    runs: int  # Number of seeds.
    error: float  # Mean top-1 error, percent.
    deviation: float  # Measured, n - 1, with its 95 % interval:
    low: float
    high: float
    independent: float  # Predicted if a run errs on each image independently of the others.
    binary: float  # By the formula for two classes and calibrated ensembles.


def seed_noise(log: Log, views: str) -> SeedNoise | None:
    """Return the noise of the baseline's runs; None for fewer than two with their mistakes."""
    runs = [run for run in log.of_arm(BASELINE) if run.mistakes]
    if len(runs) < 2:
        return None
    images = runs[0].result[views]["count"]
    errors = [len(run.mistakes[views]) / images for run in runs]
    deviation = stdev(errors)
    low, high = deviation_interval(deviation, len(runs))
    independent = _independent(runs, views, images)
    binary = binary_deviation(mean(errors), images)
    percent = (100 * each for each in (mean(errors), deviation, low, high, independent, binary))
    return SeedNoise(log.data, views, len(runs), *percent)


def binary_deviation(error: float, images: int) -> float:
    """Return the standard deviation of the error of two classes, if ensembles are calibrated."""
    return math.sqrt(error / (2 * images))


def _independent(runs: Sequence[LoggedRun], views: str, images: int) -> float:
    """Return sqrt(sum of p(1 - p) over the images) / images, p being the share of runs that err."""
    wrong = Counter(image for run in runs for image in run.mistakes[views])
    count = len(runs)
    # Over n runs, p(1 - p) comes out too small by (n - 1) / n.
    total = sum(times / count * (1 - times / count) for times in wrong.values())
    return math.sqrt(total * count / (count - 1)) / images
