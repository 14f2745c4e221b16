"""What the runs of two arms give."""

import math
from dataclasses import replace

import pytest
from made_logs import made_log, made_run

from alexnet_jax.reproduction.claims import Claim, Setting
from alexnet_jax.reproduction.logs import Ensemble
from alexnet_jax.reproduction.measures import MEASURES, epochs_to, fastest_rates, steps_to_leave

SETTING = Setting("configs/demo.py", target=0.25)


def compute(measure, log, arm="changed", against="baseline", networks=1):
    claim = Claim("c", "1", "s", "p", "s", measure, "ablations", arm, against, networks)
    return MEASURES[measure].compute(log, claim, SETTING)


def test_an_error_is_compared_in_points_of_ten_crops():
    log = made_log(
        *(made_run("baseline", seed, 0.20, center=0.9) for seed in range(4)),
        *(made_run("changed", seed, 0.23 + 0.01 * seed, center=0.1) for seed in range(2)),
    )
    found = compute("error", log)
    assert found.value == pytest.approx(3.5)
    assert found.runs == 2


@pytest.mark.parametrize(
    "measure", ["error", "gap", "ten_crops", "ensemble", "sooner", "sooner_validation", "stuck"]
)
def test_without_runs_there_is_no_estimate(measure):
    assert compute(measure, made_log(made_run("baseline", 0))) is None


def test_a_gap_is_validation_less_training_images_on_the_center_crop():
    def run(arm, seed, own):
        scores = {"center": {"top1_error": own}}
        return made_run(arm, seed, 0.9, center=0.3, training_set=scores)

    log = made_log(
        run("baseline", 0, 0.20), run("baseline", 1, 0.20), run("changed", 0, 0.05),
        run("changed", 1, 0.07),
    )  # fmt: skip
    assert compute("gap", log).value == pytest.approx(14.0)


def test_ten_crops_are_compared_with_the_center_crop_of_the_same_run():
    log = made_log(
        made_run("baseline", 0, 0.10, center=0.12), made_run("baseline", 1, 0.30, center=0.34)
    )
    found = compute("ten_crops", log, arm="baseline")
    assert found.value == pytest.approx(-3.0)
    assert found.deviation == pytest.approx(math.sqrt(2))


def test_an_ensemble_of_the_claims_size_is_compared_with_its_members():
    def ensemble(seeds, error):
        return Ensemble(seeds, {"ten_crop": {"top1_error": error}})

    log = made_log(
        *(made_run("baseline", seed, error) for seed, error in enumerate([0.2, 0.3, 0.5, 0.7])),
        ensembles=[ensemble([0, 1], 0.15), ensemble([2, 3], 0.48), ensemble([0, 1, 2], 0.01)],
    )
    found = compute("ensemble", log, arm="baseline", networks=2)
    assert found.value == pytest.approx(-11.0)
    assert found.deviation == pytest.approx(math.sqrt(2))  # Of -10 and -12.


def test_sooner_is_the_ratio_of_geometric_means():
    def run(arm, seed, epoch):
        return made_run(arm, seed, train=[[epoch, 1.0, 0.25]])

    log = made_log(
        run("relu", 0, 1.0), run("relu", 1, 4.0), run("tanh", 0, 8.0), run("tanh", 1, 18.0),
        run("tanh", 1000, 1e6),  # It chose the rate.
    )  # fmt: skip
    found = compute("sooner", log, arm="tanh", against="relu")
    assert math.exp(found.value) == pytest.approx(6.0)


def test_sooner_needs_all_runs_to_get_there():
    log = made_log(
        made_run("relu", 0, train=[[1.0, 1.0, 0.2]]), made_run("tanh", 0, train=[[1.0, 1.0, 0.3]])
    )
    assert compute("sooner", log, arm="tanh", against="relu") is None


def test_epochs_are_interpolated_between_two_lines():
    run = made_run("relu", 0, train=[[1.0, 2.0, 0.45], [2.0, 1.5, 0.35], [3.0, 1.0, 0.15]])
    assert epochs_to(run.train, 0.25) == pytest.approx(2.5)
    assert epochs_to(run.train, 0.5) == 1.0
    assert epochs_to(run.train, 0.1) == math.inf


def test_each_arm_has_the_rate_whose_pilot_gets_there_first():
    runs = [
        made_run("relu", 1000, train=[[2.0, 1.0, 0.2]], rate=0.01),
        made_run("relu", 1000, train=[[1.0, 1.0, 0.2]], rate=0.03),
        made_run("relu", 0, train=[[0.1, 1.0, 0.2]], rate=0.1),  # No pilot.
        made_run("tanh", 1000, train=[[2.0, 1.0, 0.9]], rate=0.01),
    ]
    assert fastest_rates(runs, 0.25) == {"relu": 0.03}


def test_a_run_has_left_the_loss_of_a_guess_when_it_stays_below():
    # A guess among ten classes has a loss of 2.30.
    def steps(*losses):
        train = [[0.1 * number, loss, 0.9] for number, loss in enumerate(losses)]
        return steps_to_leave(made_run("text", 0, train=train), made_log().config)

    assert steps(2.4, 2.06, 2.08, 2.0, 1.5) == 80
    assert steps(2.0, 1.9) == 20
    assert steps(2.4, 1.0, 2.3) is None
    assert steps(2.4, math.nan) is None


def test_stuck_compares_shares_of_runs():
    def run(arm, seed, loss):
        return made_run(arm, seed, train=[[1.0, 2.3, 0.9], [2.0, loss, 0.9]])

    runs = [run("text", seed, 2.3 if seed else 1.0) for seed in range(4)]
    runs += [run("code", seed, 1.0) for seed in range(4)]
    assert compute("stuck", made_log(*runs), arm="text", against="code").value == pytest.approx(
        75.0
    )


def test_sooner_on_validation_looks_at_the_evaluations():
    def run(arm, epoch):
        curve = [[epoch, 1.0, 0.25]]
        return replace(made_run(arm, 0, train=[[9.0, 1.0, 0.9]]), evaluations=curve)

    found = compute("sooner_validation", made_log(run("dropout", 4.0), run("none", 2.0)),
                    arm="dropout", against="none")  # fmt: skip
    assert math.exp(found.value) == pytest.approx(2.0)
