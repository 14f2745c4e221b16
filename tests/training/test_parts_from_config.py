from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from alexnet_jax.config import default_config
from alexnet_jax.data.augment import AUGMENTATIONS, add_color_noise, random_crop, random_flip
from alexnet_jax.data.preprocessing import TORCHVISION_MEAN, TORCHVISION_STD, Preprocessing
from alexnet_jax.data.resized_crop import random_resized_crop
from alexnet_jax.data.statistics import Statistics
from alexnet_jax.errors import UserError
from alexnet_jax.training.from_config import (
    bind,
    check_names,
    make_augmentation,
    make_optimizer,
    make_preprocessing,
    make_rates,
    resolve_durations,
)
from alexnet_jax.training.optimizer import OPTIMIZERS, krizhevsky_sgd, lars, pytorch_sgd
from configs import imagenet


def third_update(optimizer):
    """Return what the rule does to two layers at its third step, all gradients ones."""
    layer = {"kernel": jnp.float32([3.0, 4.0]), "bias": jnp.float32([2.0])}
    params = {"conv1": layer, "conv2": layer, "fc8": layer}
    gradients, state = jax.tree.map(jnp.ones_like, params), optimizer.init(params)
    for _ in range(3):
        updates, state = optimizer.update(gradients, state, params)
    return updates


def assert_same_rule(optimizer, expected):
    jax.tree.map(
        lambda left, right: np.testing.assert_allclose(left, right, rtol=1e-6),
        third_update(optimizer),
        third_update(expected),
    )


@pytest.fixture
def durations():
    """Of a run of 100 steps, 10 an epoch."""
    config = imagenet.get_config()
    config.train.update(batch_size=10, epochs=10.0)
    return resolve_durations(config, examples=100)


RATE = optax.constant_schedule(0.1)
RULES = {
    "krizhevsky_sgd": krizhevsky_sgd(RATE, 0.7, 0.01, bias_rate_multiplier=3.0),
    "pytorch_sgd": pytorch_sgd(RATE, 0.7, 0.01),
    "lars": lars(RATE, 0.7, 0.01, trust_coefficient=0.02, adapt_biases=False),
}


@pytest.mark.parametrize("name", RULES)
def test_the_update_rule_is_the_one_that_is_named_with_its_numbers(name, durations):
    config = imagenet.get_config()
    config.optimizer.update(
        name=name,
        momentum=0.7,
        weight_decay=0.01,
        bias_rate_multiplier=3.0,
        trust_coefficient=0.02,
        adapt_biases=False,
    )
    rates = replace(make_rates(config, durations), kernels=RATE)
    assert_same_rule(make_optimizer(config, rates), RULES[name])


def test_the_rule_of_2012_takes_the_biases_own_rate_and_the_layers_factors(durations):
    config = imagenet.get_config()
    config.schedule.update(learning_rate=0.1, conv1_boundaries=(0.1,), conv1_factors=(0.5,))
    config.optimizer.update(bias_rate_multiplier=3.0, bias_schedule="constant")
    expected = krizhevsky_sgd(
        optax.constant_schedule(0.05),
        0.9,
        0.0005,
        3.0,
        bias_learning_rate=optax.constant_schedule(0.3),
        layer_factors={"conv1": lambda step: jnp.where(step < 1, 1.0, 0.5)},
    )
    rates = replace(make_rates(config, durations), kernels=optax.constant_schedule(0.05))
    found = make_optimizer(config, rates)
    assert_same_rule(found, expected)


@pytest.fixture
def statistics():
    mean = np.arange(300, dtype=np.float32).reshape(10, 10, 3) % 256
    return Statistics(mean, np.eye(3, dtype=np.float32), np.float32([60, 10, 5]), count=1)


@pytest.fixture
def augmentation(durations, statistics):
    """A function of keys and values of config.augment that returns what they make."""

    def augmentation(**values):
        config = imagenet.get_config()
        config.data.crop_size = 8
        config.augment.update(**values)
        preprocessing = Preprocessing(statistics.mean_image, np.ones(3, np.float32))
        return make_augmentation(config, preprocessing, statistics, durations)

    return augmentation


def test_augmentation_has_the_numbers_of_the_config_and_of_the_training_set(
    augmentation, statistics
):
    made = augmentation(group_size=3, color_noise=0.2, color_noise_until=4.0)
    np.testing.assert_array_equal(made.preprocessing.mean, statistics.mean_image)
    assert made.crop_size == 8
    assert (made.crop.func, made.crop.keywords) == (random_crop, {"group_size": 3})
    flip, color = made.augments["flip"], made.augments["color_noise"]
    assert (flip.func, flip.keywords) == (random_flip, {"group_size": 3})
    assert color.func is add_color_noise
    assert color.keywords["pca_eigenvectors"] is statistics.pca_eigenvectors
    assert color.keywords["pca_std"] is statistics.pca_std
    noise = [float(color.keywords["color_noise"](step)) for step in (0, 39, 40)]
    assert noise == pytest.approx([0.2, 0.2, 0])
    assert [float(made.divisor(step)) for step in (0, 40)] == pytest.approx([1.2, 1.0])


def test_without_rescaling_nothing_divides(augmentation):
    assert augmentation(color_rescale=False).divisor is None


def test_without_flip_and_color_there_is_nothing_after_the_crop(augmentation):
    made = augmentation(flip=False, color_noise=0.0)
    assert (made.augments, made.divisor) == ({}, None)


@pytest.fixture
def fade(monkeypatch):
    """An augmentation of one's own, registered while a test runs."""

    def fade(key, images, group_size, step):
        return images.astype(jnp.float32) / jnp.float32(group_size + step)

    monkeypatch.setitem(AUGMENTATIONS, "fade", fade)
    return fade


def test_an_augmentation_of_ones_own_comes_between_flip_and_color(augmentation, fade):
    made = augmentation(extra=("fade",), group_size=3)
    assert list(made.augments) == ["flip", "fade", "color_noise"]
    assert (made.augments["fade"].func, made.augments["fade"].keywords) == (fade, {"group_size": 3})


def test_an_augmentation_of_ones_own_may_name_its_parameters_in_any_order(augmentation, fade):
    made = augmentation(extra=("fade",), crop="center", flip=False, color_noise=0.0, group_size=3)
    images = jnp.full((2, 10, 10, 3), 200, jnp.uint8)
    expected = 200 / (3 + 5) - made.preprocessing.mean[1:9, 1:9]
    np.testing.assert_array_equal(made(jax.random.key(0), images, jnp.int32(5))[0], expected)


@pytest.mark.parametrize("extra", [("fode",), ("flip",), ("fade", "fade")])
def test_an_extra_augmentation_that_cannot_be_lists_those_that_can(fade, extra):
    config = default_config()
    config.augment.extra = extra
    message = f"config.augment.extra names '{extra[0]}'; the known ones, each once: fade"
    with pytest.raises(UserError, match=message):
        check_names(config)


@pytest.mark.parametrize(
    ("name", "function", "numbers"),
    [
        ("random", random_crop, {"group_size": 3}),
        ("random_resized", random_resized_crop, {"smallest_area": 0.3, "largest_ratio": 1.5}),
    ],
)
def test_the_crop_is_the_one_that_is_named_with_its_numbers(name, function, numbers, augmentation):
    values = {"group_size": 3, "smallest_area": 0.3, "largest_ratio": 1.5}
    crop = augmentation(crop=name, **values).crop
    assert (crop.func, crop.args, crop.keywords) == (function, (), numbers)


def test_without_a_random_crop_there_is_none(augmentation):
    assert augmentation(crop="center").crop is None


def test_images_are_normalised_by_their_own_mean_and_no_deviation(statistics):
    found = make_preprocessing(imagenet.get_config().data.normalization, statistics.mean_image)
    np.testing.assert_array_equal(found.mean, statistics.mean_image)
    np.testing.assert_array_equal(found.std, np.ones(3))
    assert found.std.dtype == np.float32


def test_images_are_normalised_by_torchvisions_numbers_on_request(statistics):
    found = make_preprocessing("torchvision", statistics.mean_image)
    np.testing.assert_array_equal(found.mean, np.tile(TORCHVISION_MEAN, (10, 10, 1)))
    np.testing.assert_array_equal(found.std, TORCHVISION_STD)


def test_a_function_gets_the_values_that_it_has_parameters_for():
    def rate(learning_rate, steps, levels=4):
        return learning_rate, steps, levels

    values = {"learning_rate": 0.1, "steps": 7, "power": 2.0}
    assert bind(rate, values)() == (0.1, 7, 4)


IGNORED = [
    ("optimizer.bias_rate_multiplier", 3.0, "bias_rate_multiplier=3.0 .* set it to 2.0"),
    ("optimizer.bias_schedule", "constant", "bias_schedule='constant' .* set it to 'same'"),
    ("optimizer.bias_decay", 5.0, "bias_decay=5.0 .* set it to 10.0"),
    ("schedule.conv1_factors", (0.1,), r"conv1_factors=\(0.1,\) .* set it to \(\)"),
    ("schedule.output_factors", (0.1,), r"output_factors=\(0.1,\) .* set it to \(\)"),
]


@pytest.mark.parametrize("optimizer", ["lars", "pytorch_sgd"])
@pytest.mark.parametrize(("key", "value", "message"), IGNORED)
def test_a_rate_that_the_optimizer_ignores_is_refused(optimizer, key, value, message):
    config = default_config()
    config.optimizer.name = optimizer
    check_names(config)
    config.update_from_flattened_dict({key: value})
    with pytest.raises(UserError, match=message):
        check_names(config)


@pytest.mark.parametrize(("key", "value", "message"), IGNORED)
def test_an_optimizer_of_ones_own_may_take_the_rates(monkeypatch, key, value, message):
    def own(learning_rate, bias_learning_rate, layer_factors):
        return optax.sgd(learning_rate)

    monkeypatch.setitem(OPTIMIZERS, "own", own)
    config = default_config()
    config.optimizer.name = "own"
    config.update_from_flattened_dict({key: value})
    check_names(config)


@pytest.mark.parametrize(
    ("key", "name", "known"),
    [
        (
            "schedule.name",
            "triangle",
            "constant, step_decay, staircase_exponential, polynomial, cosine, plateau",
        ),
        ("optimizer.name", "adam", "krizhevsky_sgd, pytorch_sgd, lars"),
        ("augment.crop", "left", "random, random_resized, center"),
    ],
)
def test_a_part_that_is_not_there_lists_those_that_are(key, name, known):
    config = default_config()
    config.update_from_flattened_dict({key: name})
    with pytest.raises(UserError, match=f"config.{key}='{name}'; the known ones: {known}"):
        check_names(config)
