import math
from pathlib import Path

import pytest

from alexnet_jax.errors import UserError
from alexnet_jax.runs.checkpoint_choice import (
    best_step,
    blow_up_limit,
    center_errors,
    choose,
    confirmed_step,
    unrecorded,
)


def eval_lines(errors, views="center"):
    return [
        {"kind": "eval", "step": step, "views": views, "top1_error": error}
        for step, error in errors.items()
    ]


def best_error(lines, steps):
    errors = center_errors(lines, steps)
    step = best_step(errors)
    return None if step is None else (step, errors[step])


def pick(wanted, steps, errors):
    return choose(wanted, steps, eval_lines(errors), Path("run"))


def test_the_lowest_error_on_the_center_crop_is_the_best():
    lines = eval_lines({2: 0.4, 4: 0.2, 6: 0.3}) + eval_lines({6: 0.1}, "ten_crop")
    assert best_error(lines, [2, 4, 6]) == (4, 0.2)


def test_of_equal_errors_the_latest_step_is_the_best():
    assert best_error(eval_lines({2: 0.4, 4: 0.2, 6: 0.2, 8: 0.3}), [2, 4, 6, 8]) == (6, 0.2)


def test_only_steps_that_are_there_count():
    assert best_error(eval_lines({2: 0.4, 4: 0.2}), [2]) == (2, 0.4)


@pytest.mark.parametrize("odd", [math.nan, math.inf, None, "0.1"])
def test_an_error_that_is_no_finite_number_is_never_the_best(odd):
    assert best_error(eval_lines({2: 0.4, 4: odd}), [2, 4]) == (2, 0.4)
    assert best_error(eval_lines({4: odd}), [2, 4]) is None


def test_without_a_wish_it_is_the_best_and_says_so():
    step, why = pick(None, [2, 4], {2: 0.5, 4: 0.25})
    assert (step, why) == (4, "best of 2, 4: top-1 error 25.00% on the center crop")


def test_without_a_wish_and_tests_it_is_the_latest_and_says_why():
    assert pick(None, [2, 4], {}) == (4, "latest of 2, 4: metrics.jsonl has no evaluation of them")


def test_without_a_wish_those_that_no_test_judged_are_named():
    _, why = pick(None, [2, 4, 6, 8], {4: 0.25, 6: 0.5})
    assert why == "best of 4, 6: top-1 error 25.00% on the center crop; not evaluated: 2, 8"


def test_a_checkpoint_that_was_wished_for_needs_no_test():
    assert pick("latest", [2, 4], {}) == (4, "latest of 2, 4")


def test_a_checkpoint_is_unrecorded_if_the_log_has_no_line_of_its_step():
    lines = [{"kind": "train", "step": 4}, *eval_lines({6: 0.1})]
    assert unrecorded(lines, [0, 2, 4, 6, 8]) == [2, 8]


@pytest.mark.parametrize(("wanted", "step"), [("best", 2), ("latest", 6), ("4", 4)])
def test_a_wish_is_heard(wanted, step):
    assert pick(wanted, [2, 4, 6], {2: 0.1})[0] == step


def test_a_step_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(UserError, match=r"run has no checkpoint 5; there are 2, 4"):
        pick("5", [2, 4], {})


def test_the_best_of_untested_checkpoints_is_refused():
    with pytest.raises(UserError, match=r"none is the best; give --checkpoint=latest, or one of 2"):
        pick("best", [2, 4], {})


HALF = math.log(10) / 2


def means(losses):
    return [{"kind": "train", "step": step, "loss": loss} for step, loss in losses.items()]


@pytest.mark.parametrize(
    ("logged", "limit"),
    [([], 3 * HALF), ([9.0, 1e9], 3 * HALF), ([2.0, 1.0, 5.0], 1.0 + HALF)],
)
def test_a_loss_has_blown_up_half_of_guessing_above_the_lowest_mean(logged, limit):
    assert blow_up_limit(logged, 10) == pytest.approx(limit)


def test_the_loss_of_a_later_step_confirms_a_checkpoint():
    assert confirmed_step(means({2: 2.0, 4: 1.9}), [2, 4], 10) == 2


def test_a_loss_that_the_log_lacks_confirms_too():
    assert confirmed_step(means({2: 2.0, 4: 1.9}), [2, 4], 10, {5: 1.8}) == 4


@pytest.mark.parametrize("loss", [1e9, math.nan, math.inf])
def test_a_loss_that_has_blown_up_confirms_nothing(loss):
    assert confirmed_step(means({2: 2.0, 4: 1.9}), [2, 4], 10, {5: loss}) == 2


def test_a_run_that_diverges_from_the_start_has_no_good_checkpoint():
    assert confirmed_step(means({2: 1e9, 4: 1e9}), [2, 4], 10) is None
