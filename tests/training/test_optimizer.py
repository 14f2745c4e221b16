from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from alexnet_jax.training.optimizer import krizhevsky_sgd, lars, pytorch_sgd, with_rate_factor
from alexnet_jax.training.schedule import piecewise, step_decay, warmed_up


def train(steps, schedule):
    """Follow a fixed sequence of gradients; returns parameters after each step."""
    gradients = np.random.default_rng(0).normal(size=(steps, 2, 3))
    params = {"fc": {"kernel": jnp.ones(3), "bias": jnp.ones(3)}}
    optimizer = krizhevsky_sgd(schedule, 0.9, 0.0005, 2.0)
    state = optimizer.init(params)
    history = []
    for kernel, bias in gradients:
        updates, state = optimizer.update(
            {"fc": {"kernel": jnp.float32(kernel), "bias": jnp.float32(bias)}}, state, params
        )
        params = optax.apply_updates(params, updates)
        history.append(jax.tree.map(np.asarray, params))
    return gradients, history


def test_fifty_steps_with_two_drops_of_the_rate_follow_the_paper():
    gradients, history = train(50, step_decay(0.01, [20, 35], 0.1))
    kernel, bias = np.ones(3), np.ones(3)
    kernel_velocity, bias_velocity = np.zeros(3), np.zeros(3)
    for step, (kernel_gradient, bias_gradient) in enumerate(gradients):
        rate = 0.01 * 0.1 ** ((step >= 20) + (step >= 35))
        kernel_velocity = 0.9 * kernel_velocity - 0.0005 * rate * kernel - rate * kernel_gradient
        bias_velocity = 0.9 * bias_velocity - 2 * rate * bias_gradient
        kernel, bias = kernel + kernel_velocity, bias + bias_velocity
        np.testing.assert_allclose(history[step]["fc"]["kernel"], kernel, rtol=0, atol=1e-6)
        np.testing.assert_allclose(history[step]["fc"]["bias"], bias, rtol=0, atol=1e-6)


def test_biases_do_not_decay():
    optimizer = krizhevsky_sgd(0.1, 0.0, 0.5, 2.0)
    params = {"fc": {"kernel": jnp.ones(3), "bias": jnp.ones(3)}}
    still = jax.tree.map(jnp.zeros_like, params)
    updates, _ = optimizer.update(still, optimizer.init(params), params)
    np.testing.assert_array_equal(updates["fc"]["bias"], 0.0)
    np.testing.assert_allclose(updates["fc"]["kernel"], -0.05, rtol=1e-6)


def first_updates(optimizer, steps):
    """Feed ones for `steps` steps without momentum; returns each layer's last update."""
    params = {layer: {"kernel": jnp.zeros(1), "bias": jnp.zeros(1)} for layer in ("conv1", "conv2")}
    gradients = jax.tree.map(jnp.ones_like, params)
    state = optimizer.init(params)
    for _ in range(steps):
        updates, state = optimizer.update(gradients, state, params)
    return jax.tree.map(lambda update: round(float(update[0]), 6), updates)


def test_a_layer_has_a_factor_of_its_own_and_freezes_at_zero():
    factors = {"conv1": piecewise([1.0, 0.1, 0.0], [1, 2])}
    optimizer = krizhevsky_sgd(0.01, 0.0, 0.0005, 2.0, layer_factors=factors)
    assert first_updates(optimizer, 2)["conv1"] == {"kernel": -0.001, "bias": -0.02}
    assert first_updates(optimizer, 3) == {
        "conv1": {"kernel": 0.0, "bias": 0.0},
        "conv2": {"kernel": -0.01, "bias": -0.02},
    }


def follow(factors, steps):
    """Feed ones with momentum 0.9; returns conv1's and its norm's parameters after each step."""
    params = {
        "conv1": {"kernel": jnp.ones(1), "bias": jnp.ones(1)},
        "conv1_norm": {"scale": jnp.ones(1), "bias": jnp.ones(1)},
        "conv2": {"kernel": jnp.ones(1), "bias": jnp.ones(1)},
    }
    optimizer = krizhevsky_sgd(0.01, 0.9, 0.0, 2.0, layer_factors=factors)
    gradients, state, history = jax.tree.map(jnp.ones_like, params), optimizer.init(params), []
    for _ in range(steps):
        updates, state = optimizer.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
        history.append(jax.tree.map(float, jax.tree.map(lambda leaf: leaf[0], params)))
    return history


def test_a_layer_stops_at_once_when_it_is_frozen_whatever_its_velocity():
    """As in 2012: no update at a rate of 0. Its biases stop too, and its batch normalization."""
    history = follow({"conv1": piecewise([1.0, 0.0], [3])}, 6)
    for layer in ("conv1", "conv1_norm"):
        assert history[1][layer] != history[2][layer]
        assert history[2][layer] == history[3][layer] == history[5][layer]
    assert history[4]["conv2"] != history[5]["conv2"]


def test_a_layer_that_thaws_continues_with_the_velocity_it_had():
    thawed = follow({"conv1": piecewise([1.0, 0.0, 1.0], [3, 5])}, 8)
    never_frozen = follow({}, 8)
    for layer in ("conv1", "conv1_norm"):
        assert thawed[-1][layer] == pytest.approx(never_frozen[5][layer], rel=1e-6)


def test_a_rate_factor_takes_hold_where_layers_have_factors_of_their_own():
    optimizer = krizhevsky_sgd(
        0.01, 0.0, 0.0, 2.0, layer_factors={"conv1": lambda step: jnp.float32(0.5)}
    )
    ones = {layer: {"kernel": jnp.ones(1)} for layer in ("conv1", "conv2")}
    updates, _ = optimizer.update(ones, optimizer.init(ones), ones, rate_factor=0.1)
    assert float(updates["conv1"]["kernel"][0]) == pytest.approx(-0.0005)
    assert float(updates["conv2"]["kernel"][0]) == pytest.approx(-0.001)


def test_biases_can_keep_a_rate_while_kernels_slow_down():
    optimizer = krizhevsky_sgd(
        step_decay(0.01, [1], 0.1),
        0.0,
        0.0005,
        2.0,
        bias_learning_rate=optax.constant_schedule(0.02),
    )
    assert first_updates(optimizer, 2)["conv2"] == {"kernel": -0.001, "bias": -0.02}


def test_the_biases_own_rate_goes_by_completed_steps():
    rate = step_decay(0.02, [1], 0.5)
    optimizer = krizhevsky_sgd(0.01, 0.0, 0.0005, 2.0, bias_learning_rate=rate)
    assert first_updates(optimizer, 1)["conv2"]["bias"] == -0.02
    assert first_updates(optimizer, 2)["conv2"]["bias"] == -0.01


def test_completed_steps_are_counted_in_int32():
    """A float32 stops at 2^24."""
    _, counted, _ = krizhevsky_sgd(1.0, 0.9, 0.0005, 2.0).init({"fc": {"kernel": jnp.ones(1)}})
    assert counted.count.dtype == jnp.int32


def test_pytorch_keeps_the_rate_outside_the_velocity():
    optimizer = pytorch_sgd(step_decay(0.1, [1], 0.1), momentum=0.5, weight_decay=0.1)
    params = {"fc": {"bias": jnp.ones(1)}}
    gradients, state = jax.tree.map(jnp.zeros_like, params), optimizer.init(params)
    first, state = optimizer.update(gradients, state, params)
    second, _ = optimizer.update(gradients, state, params)
    # Decay alone: velocity 0.1, then 0.5·0.1 + 0.1; the whole of it goes at the new rate.
    assert float(first["fc"]["bias"][0]) == pytest.approx(-0.01)
    assert float(second["fc"]["bias"][0]) == pytest.approx(-0.0015)


def take_three_steps(optimizer, factors):
    """Returns the last updates, with a factor of the rate for each step."""
    params = {"fc": {"kernel": jnp.float32([3.0, 4.0]), "bias": jnp.ones(1)}}
    state = optimizer.init(params)
    for step, factor in enumerate(factors):
        gradients = jax.tree.map(lambda leaf, scale=step + 1.0: jnp.sin(scale * leaf), params)
        updates, state = optimizer.update(gradients, state, params, rate_factor=jnp.float32(factor))
        params = optax.apply_updates(params, updates)
    return updates


@pytest.mark.parametrize(
    "rule", [partial(pytorch_sgd, momentum=0.9, weight_decay=0.1), optax.adamw]
)
def test_the_factor_of_the_plateaus_lowers_the_rate_of_rules_that_do_not_know_it(rule):
    dropping, as_it_was = (1.0, 0.1, 0.1), (1.0, 1.0, 1.0)
    with jax.numpy_dtype_promotion("standard"):  # Optax relies on it.
        found = take_three_steps(with_rate_factor(rule(0.01)), dropping)
        lower = with_rate_factor(rule(step_decay(0.01, [1], 0.1)))
        expected = take_three_steps(lower, as_it_was)
    for kind in ("kernel", "bias"):
        np.testing.assert_allclose(found["fc"][kind], expected["fc"][kind], rtol=1e-6)


def test_a_rule_that_takes_the_factor_itself_is_left_as_it_is():
    optimizer = krizhevsky_sgd(0.01, 0.9, 0.0005, 2.0)
    assert with_rate_factor(optimizer) is optimizer


def test_a_rule_inside_a_chain_does_not_receive_the_factor_twice():
    chained = optax.chain(optax.identity(), krizhevsky_sgd(0.01, 0.0, 0.0, 2.0))
    whole, tenth = (
        take_three_steps(with_rate_factor(chained), (1.0, 1.0, last)) for last in (1.0, 0.1)
    )
    np.testing.assert_allclose(tenth["fc"]["kernel"], 0.1 * whole["fc"]["kernel"], rtol=1e-6)


def test_a_state_without_the_factor_can_be_resumed():
    """Checkpoints hold the state of the rule itself."""
    params, rule = {"fc": {"kernel": jnp.ones(2)}}, optax.adamw(0.01)
    states = rule.init(params), with_rate_factor(rule).init(params)
    assert jax.tree.structure(states[0]) == jax.tree.structure(states[1])


def test_fifty_steps_of_lars_with_warm_up_and_polynomial_decay_follow_the_paper():
    """arXiv 1708.03888, algorithm 1, in float64; biases begin at 0, where a step is not scaled."""
    gradients = np.random.default_rng(0).normal(size=(50, 2, 3))
    schedule = warmed_up(optax.polynomial_schedule(14.0, 0.0, 2.0, 50), 10, 0.1)
    optimizer = lars(schedule, 0.9, weight_decay=0.5, trust_coefficient=0.001, adapt_biases=True)
    params = {"fc": {"kernel": jnp.ones(3), "bias": jnp.zeros(3)}}
    state = optimizer.init(params)
    expected = {"kernel": np.ones(3), "bias": np.zeros(3)}
    velocity = {"kernel": np.zeros(3), "bias": np.zeros(3)}
    for step, pair in enumerate(gradients):
        rate = 14 * (1 - step / 50) ** 2 * min(1, 0.1 + 0.09 * step)
        gradient = dict(zip(("kernel", "bias"), pair, strict=True))
        updates, state = optimizer.update(
            {"fc": jax.tree.map(jnp.float32, gradient)}, state, params
        )
        params = optax.apply_updates(params, updates)
        for kind, w in expected.items():
            length, slope = np.linalg.norm(w), np.linalg.norm(gradient[kind])
            trust = 0.001 * length / (slope + 0.5 * length) if length else 1.0
            direction = gradient[kind] + 0.5 * w
            velocity[kind] = 0.9 * velocity[kind] + rate * trust * direction
            expected[kind] = w - velocity[kind]
            np.testing.assert_allclose(params["fc"][kind], expected[kind], rtol=1e-4, atol=1e-5)


def test_lars_takes_the_factor_of_the_plateaus():
    optimizer = lars(1.0, 0.0, weight_decay=0.0, trust_coefficient=0.001, adapt_biases=True)
    params = {"fc": {"kernel": jnp.full(4, 3.0)}}
    gradients = {"fc": {"kernel": jnp.full(4, 5.0)}}
    state = optimizer.init(params)
    whole, _ = optimizer.update(gradients, state, params)
    tenth, _ = optimizer.update(gradients, state, params, rate_factor=0.1)
    # A thousandth of its length, whatever the gradient's is.
    np.testing.assert_allclose(whole["fc"]["kernel"], -0.003, rtol=1e-6)
    np.testing.assert_allclose(tenth["fc"]["kernel"], -0.0003, rtol=1e-6)


def test_a_tensor_without_a_gradient_decays_as_if_there_were_no_trust():
    optimizer = lars(1.0, 0.0, weight_decay=0.5, trust_coefficient=0.001, adapt_biases=True)
    params = {"fc": {"kernel": jnp.full(4, 3.0)}}
    still = jax.tree.map(jnp.zeros_like, params)
    updates, _ = optimizer.update(still, optimizer.init(params), params)
    np.testing.assert_allclose(updates["fc"]["kernel"], -1.5, rtol=1e-6)


def test_lars_can_leave_biases_and_scales_as_they_are():
    optimizer = lars(1.0, 0.0, weight_decay=0.5, trust_coefficient=0.001, adapt_biases=False)
    params = {"norm": {kind: jnp.ones(4) for kind in ("kernel", "bias", "scale")}}
    gradients = jax.tree.map(lambda leaf: 2 * leaf, params)
    updates, _ = optimizer.update(gradients, optimizer.init(params), params)
    np.testing.assert_array_equal(updates["norm"]["bias"], -2)
    np.testing.assert_array_equal(updates["norm"]["scale"], -2)
    np.testing.assert_allclose(updates["norm"]["kernel"], -0.001, rtol=1e-6)
