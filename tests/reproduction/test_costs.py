"""What a claim costs on ImageNet."""

import pytest

from alexnet_jax.reproduction.claims import load_claims
from alexnet_jax.reproduction.costs import imagenet_cost
from alexnet_jax.reproduction.running import measured_trials

CLAIMS = load_claims()


def cost(name):
    return imagenet_cost(CLAIMS, CLAIMS.find(name))


def test_runs_are_those_that_the_command_trains():
    experiment = CLAIMS.experiments["ablations"]
    trials = measured_trials(experiment, {"no_overlap", "baseline"}, cost("overlap").seeds, {})
    assert cost("overlap").runs == len(trials) == 24


def test_hours_are_those_of_the_claims_own_steps():
    # Run 170 has 95 epochs; 24 at the first rate tell how soon a network converges.
    long, short = cost("lrn"), cost("dropout_steps")
    assert long.steps == 950_866
    assert short.steps / long.steps == pytest.approx(24 / 95, rel=1e-5)
    assert dict(short.hours)["NVIDIA H200"] == pytest.approx(short.steps * 8.70e-3 / 3600)


def test_seeds_are_known_where_the_noise_is():
    assert cost("lrn").seeds == 3
    assert cost("ensemble5").seeds is None
    assert cost("relu") is None
