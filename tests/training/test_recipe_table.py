"""Every recipe's numbers, by hand: from the facts of 2012, and from what the recipes reproduce.

An epoch of ImageNet's 1,281,167 images has 10,009.1171875 steps of 128 images, 5,004.55859375 of
256, 2,502.279296875 of 512 and 156.3924560546875 of 8,192; epochs are rounded to steps once, shares
of a run down.
No number here may be copied from what the code returns.
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import configs
from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.data.statistics import Statistics
from alexnet_jax.training.from_config import (
    make_augmentation,
    make_model,
    make_rates,
    resolve_config,
    resolve_durations,
)
from configs import (
    automatic,
    caffe,
    caffenet,
    demo,
    imagenet,
    large_batch,
    modern,
    one_cnn_star,
    original,
    owt,
    paper_text,
    small_data,
)

IMAGENET, FRACTALS, FASHION = 1_281_167, 5_000, 10_000

RECIPES = {
    "automatic": automatic.get_config,
    "caffe": caffe.get_config,
    "caffenet": caffenet.get_config,
    "demo": demo.get_config,
    "imagenet": imagenet.get_config,
    "large_batch": large_batch.get_config,
    "modern": modern.get_config,
    "one_cnn_star": one_cnn_star.get_config,
    "one_cnn_star:pretrain": lambda: one_cnn_star.get_config("pretrain"),
    "original": original.get_config,
    "owt": owt.get_config,
    "paper_text": paper_text.get_config,
    "small_data": small_data.get_config,
}

# Network, side of the crops, crop, flip, examples, batch, epochs (None: the steps count), steps.
FACTS = {
    "automatic": ("original", 224, "random", True, IMAGENET, 128, 95, 950_866),
    "caffe": ("caffe", 227, "random", True, IMAGENET, 256, None, 450_000),
    "caffenet": ("caffenet", 227, "random", True, IMAGENET, 256, None, 450_000),
    "demo": ("tiny", 80, "random", True, FRACTALS, 64, 14, 1_094),
    "imagenet": ("original", 224, "random", True, IMAGENET, 128, 90, 900_821),
    "large_batch": ("caffe", 227, "random", True, IMAGENET, 8_192, 100, 15_639),
    "modern": ("caffe", 227, "random_resized", True, IMAGENET, 512, 90, 225_205),
    "one_cnn_star": ("six_conv", 224, "random", True, IMAGENET, 128, 54, 540_492),
    "one_cnn_star:pretrain": ("six_conv", 224, "random", True, IMAGENET, 128, 8, 80_073),
    "original": ("original", 224, "random", True, IMAGENET, 128, 91, 910_830),
    "owt": ("owt", 224, "random_resized", True, IMAGENET, 256, 90, 450_410),
    "paper_text": ("paper", 227, "random", True, IMAGENET, 128, 90, 900_821),
    "small_data": ("two_conv", 28, "center", False, FASHION, 64, 5, 781),
}

# Whether color noise is followed by the division by 1.1: the code's way, not the text's.
DIVIDED = {name: name != "paper_text" for name in RECIPES}

OF_EVERY_STEP = {"large_batch", "modern", "small_data"}  # The rate changes with every step.

# From this step on: the rate of kernels, of biases, of conv1's and the output's kernels, the noise.
# Run 170 divides by 250^(1/3) = 6.299605.
_CAFFE = [
    (0, 1e-2, 2e-2, 1e-2, 1e-2, 0),
    (100_000, 1e-3, 2e-3, 1e-3, 1e-3, 0),
    (200_000, 1e-4, 2e-4, 1e-4, 1e-4, 0),
    (300_000, 1e-5, 2e-5, 1e-5, 1e-5, 0),
    (400_000, 1e-6, 2e-6, 1e-6, 1e-6, 0),
]
SPANS = {
    "automatic": [
        (0, 1e-2, 2e-2, 1e-2, 1e-2, 0.1),
        (237_716, 1.587401e-3, 2e-2, 1.587401e-3, 1.587401e-3, 0.1),
        (475_433, 2.519842e-4, 2e-3, 2.519842e-4, 2.519842e-4, 0.1),
        (680_620, 2.519842e-4, 2e-3, 2.519842e-4, 2.519842e-4, 0),
        (713_149, 4e-5, 2e-3, 4e-5, 4e-5, 0),
        (740_675, 4e-5, 2e-3, 0, 4e-5, 0),
    ],
    "caffe": _CAFFE,
    "caffenet": _CAFFE,
    "demo": [
        (0, 1e-2, 2e-2, 1e-2, 1e-2, 0.1),
        (273, 1.587401e-3, 3.174802e-3, 1.587401e-3, 1.587401e-3, 0.1),
        (547, 2.519842e-4, 5.039684e-4, 2.519842e-4, 2.519842e-4, 0.1),
        (820, 4e-5, 8e-5, 4e-5, 4e-5, 0.1),
    ],
    "imagenet": [
        (0, 1e-2, 2e-2, 1e-2, 1e-2, 0.1),
        (225_205, 1.587401e-3, 3.174802e-3, 1.587401e-3, 1.587401e-3, 0.1),
        (450_410, 2.519842e-4, 5.039684e-4, 2.519842e-4, 2.519842e-4, 0.1),
        (675_615, 4e-5, 8e-5, 4e-5, 4e-5, 0.1),
    ],
    "one_cnn_star": [
        (0, 1e-3, 2e-2, 1e-4, 1e-2, 0.1),
        (50_046, 1e-3, 2e-2, 1e-5, 1e-2, 0.1),
        (70_064, 1e-3, 2e-2, 0, 1e-2, 0.1),
        (90_082, 1e-3, 2e-2, 0, 1e-3, 0.1),
        (220_201, 1e-4, 2e-2, 0, 1e-4, 0.1),
        (380_346, 1e-4, 2e-2, 0, 1e-4, 0),
        (420_383, 1e-5, 2e-2, 0, 1e-5, 0),
    ],
    "one_cnn_star:pretrain": [
        (0, 1e-2, 2e-2, 1e-2, 1e-2, 0.1),
        (60_055, 1e-3, 2e-2, 1e-3, 1e-3, 0.1),
    ],
    "original": [
        (0, 1e-2, 2e-2, 1e-2, 1e-2, 0.1),
        (250_228, 1e-3, 2e-2, 1e-3, 1e-3, 0.1),
        (510_465, 1e-4, 2e-2, 1e-4, 1e-4, 0.1),
        (670_611, 1e-4, 2e-2, 1e-5, 1e-4, 0),
        (720_656, 1e-4, 2e-2, 0, 1e-4, 0),
        (790_720, 1e-5, 2e-2, 0, 1e-5, 0),
    ],
    # PyTorch's rule gives biases the rate of kernels.
    "owt": [
        (0, 1e-2, 1e-2, 1e-2, 1e-2, 0),
        (150_137, 1e-3, 1e-3, 1e-3, 1e-3, 0),
        (300_274, 1e-4, 1e-4, 1e-4, 1e-4, 0),
    ],
    # Before the divisions, which answer to the tests of the run.
    "paper_text": [(0, 1e-2, 1e-2, 1e-2, 1e-2, 0.1)],
}


@pytest.fixture(params=RECIPES)
def recipe(request):
    config = resolve_config(RECIPES[request.param]())
    durations = resolve_durations(config, FACTS[request.param][4])
    return SimpleNamespace(name=request.param, config=config, durations=durations)


GRAY = Statistics(np.zeros((2, 2, 3), np.float32), np.eye(3), np.ones(3), count=1)
PLAIN = Preprocessing(GRAY.mean_image, np.ones(3, np.float32))


def numbers_at(recipe, step):
    """Return what SPANS holds for a step, as the recipe has it."""
    config, durations = recipe.config, recipe.durations
    rates = make_rates(config, durations)
    rate = float(rates.kernels(step))
    own = config.optimizer.name == "krizhevsky_sgd"  # The one rule with rates of their own.
    bias = rates.biases
    bias_rate = rate * config.optimizer.bias_rate_multiplier if bias is None else float(bias(step))
    factors = rates.layer_factors
    layers = [
        rate * float(factors[layer](step)) if layer in factors else rate
        for layer in ("conv1", make_model(config).spec.output_name)
    ]
    augments = make_augmentation(config, PLAIN, GRAY, durations).augments
    noise = augments["color_noise"].keywords["color_noise"] if "color_noise" in augments else None
    return rate, bias_rate if own else rate, *layers, float(noise(step)) if noise else 0


def test_every_recipe_is_in_the_table():
    files = {path.stem for path in Path(configs.__file__).parent.glob("[a-z]*.py")}
    assert {name.partition(":")[0] for name in RECIPES} == files
    assert set(RECIPES) == set(FACTS) == set(SPANS) | OF_EVERY_STEP


def test_what_a_recipe_trains_on_and_how_long(recipe):
    config = recipe.config
    assert (
        config.model.name,
        config.data.crop_size,
        config.augment.crop,
        config.augment.flip,
        FACTS[recipe.name][4],
        config.train.batch_size,
        config.train.epochs if config.train.steps is None else None,
        recipe.durations.total,
    ) == FACTS[recipe.name]
    assert config.augment.color_rescale == DIVIDED[recipe.name]


def test_rates_and_noise_around_every_boundary(recipe):
    if recipe.name in OF_EVERY_STEP:
        pytest.skip("its rate changes with every step: the next tests")
    spans = SPANS[recipe.name]
    ends = [span[0] for span in spans[1:]] + [FACTS[recipe.name][-1]]
    for (start, *numbers), end in zip(spans, ends, strict=True):
        for step in (start, start + 1, end - 1):
            assert numbers_at(recipe, step) == pytest.approx(numbers, rel=1e-5), step


# 14 x (1 - step / 15,639)^2, until step 782 (5 epochs) times 0.1 + 0.9 x step / 782.
@pytest.mark.parametrize(
    ("step", "rate", "tolerance"),
    [
        (0, 1.4, 1e-5),
        (1, 1.415931, 1e-5),
        (781, 12.622072, 1e-5),
        (782, 12.634915, 1e-5),
        (783, 12.633214, 1e-5),
        (15_638, 5.724e-8, 2e-3),  # 1 - 15,638/15,639 has three digits in float32.
    ],
)
def test_the_rate_of_the_large_batch(step, rate, tolerance):
    config = resolve_config(large_batch.get_config())
    recipe = SimpleNamespace(config=config, durations=resolve_durations(config, IMAGENET))
    expected = [rate, rate, rate, rate, 0]
    assert numbers_at(recipe, step) == pytest.approx(expected, rel=tolerance)


# 0.02 x (1 + cos(pi x step / 225,205)) / 2, until step 12,511 (5 epochs) times step / 12,511;
# biases twice that.
@pytest.mark.parametrize(
    ("step", "rate", "tolerance"),
    [
        (0, 0, 0),
        (1, 1.598593e-6, 1e-5),
        (12_511, 0.01984808, 1e-5),
        (112_603, 9.9999303e-3, 1e-5),
        (150_137, 4.999960e-3, 1e-5),
    ],
)
def test_the_rate_of_the_modern_recipe(step, rate, tolerance):
    config = resolve_config(modern.get_config())
    recipe = SimpleNamespace(config=config, durations=resolve_durations(config, IMAGENET))
    expected = [rate, 2 * rate, rate, rate, 0]
    assert numbers_at(recipe, step) == pytest.approx(expected, rel=tolerance)


# 0.1 x (1 - step / 781), until step 156 (one epoch) times step / 156; biases twice that.
@pytest.mark.parametrize(
    ("step", "rate", "tolerance"),
    [(0, 0, 0), (78, 0.04500640, 1e-5), (156, 0.08002561, 1e-5), (780, 1.28041e-4, 1e-3)],
)
def test_the_rate_of_small_data(step, rate, tolerance):
    config = resolve_config(small_data.get_config())
    recipe = SimpleNamespace(config=config, durations=resolve_durations(config, FASHION))
    expected = [rate, 2 * rate, rate, rate, 0]
    assert numbers_at(recipe, step) == pytest.approx(expected, rel=tolerance)
