"""The spread of seeds, and what mistakes predict of it."""

import math

import numpy as np
import pytest
from made_logs import made_log, made_run

from alexnet_jax.reproduction.seed_noise import seed_noise

IMAGES, RUNS = 2000, 200


def runs_with(mistakes):
    """Runs whose mistakes are the rows of `mistakes`, bool [runs, images]."""
    runs = []
    for seed, row in enumerate(mistakes):
        wrong = np.flatnonzero(row).tolist()
        run = made_run("baseline", seed, mistakes={"center": wrong})
        run.result["center"]["count"] = IMAGES
        runs.append(run)
    return made_log(*runs)


def test_independent_mistakes_predict_the_spread():
    generator = np.random.default_rng(0)
    shares = generator.uniform(0, 0.5, IMAGES)
    noise = seed_noise(runs_with(generator.random((RUNS, IMAGES)) < shares), "center")
    exact = 100 * math.sqrt((shares * (1 - shares)).sum()) / IMAGES
    assert noise.independent == pytest.approx(exact, rel=0.02)
    assert noise.low < exact < noise.high


def test_runs_that_are_good_or_bad_as_a_whole_spread_more():
    generator = np.random.default_rng(0)
    quality = generator.uniform(0.1, 0.4, (RUNS, 1))
    noise = seed_noise(runs_with(generator.random((RUNS, IMAGES)) < quality), "center")
    assert noise.low > 3 * noise.independent


def test_equal_runs_have_no_spread():
    noise = seed_noise(runs_with(np.arange(IMAGES)[None].repeat(5, 0) < 100), "center")
    assert noise.deviation == noise.independent == 0
    assert noise.error == pytest.approx(5.0)
    assert noise.binary == pytest.approx(100 * math.sqrt(0.05 / (2 * IMAGES)))


def test_one_run_has_no_noise():
    assert seed_noise(made_log(made_run("baseline", 0, mistakes={"center": [1]})), "center") is None
