"""From config values to the parts of every step: durations, rates, augmentation."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import optax
from ml_collections import ConfigDict

from alexnet_jax.config.checks import check_config
from alexnet_jax.config.rules import MOST_STEPS
from alexnet_jax.config.schema import SCHEMA, flatten
from alexnet_jax.data.augment import AUGMENTATIONS, CROPS, Augmentation
from alexnet_jax.data.preprocessing import TORCHVISION_MEAN, TORCHVISION_STD, Preprocessing
from alexnet_jax.data.statistics import Statistics
from alexnet_jax.errors import UserError
from alexnet_jax.models import AlexNet, create_model, find_spec
from alexnet_jax.training.optimizer import OPTIMIZERS, with_rate_factor
from alexnet_jax.training.schedule import SCHEDULES, piecewise, staircase_exponential, warmed_up


def resolve_config(config: ConfigDict) -> ConfigDict:
    """Return a checked copy with the values that the run uses.

    An unset `data.crop_size` becomes the network's own, and an int for a float key a float.

    Raises:
        UserError: a value is not possible.
    """
    check_config(config)
    resolved = config.copy_and_resolve_references()
    if resolved.data.crop_size is None:
        model = resolved.model
        resolved.data.crop_size = find_spec(model.name, model.modifications).crop_size
    for key, value in flatten(resolved.to_dict()).items():
        if type(value) is int and float in SCHEMA[key].rule.types:
            group, name = key.split(".")
            with resolved.ignore_type():
                resolved[group][name] = float(value)
    check_config(resolved)
    return resolved


# By key: parameters, without all of which an optimizer ignores the key.
_USERS = {
    "optimizer.bias_rate_multiplier": {"bias_rate_multiplier", "bias_learning_rate"},
    "optimizer.bias_schedule": {"bias_learning_rate"},
    "optimizer.bias_decay": {"bias_learning_rate"},
    "schedule.conv1_factors": {"layer_factors"},
    "schedule.output_factors": {"layer_factors"},
}


def check_names(config: ConfigDict) -> None:
    """Raise UserError for an unknown crop, augmentation, optimizer or schedule.

    Also for rates of biases or layers that the optimizer ignores.
    """
    find(CROPS, config.augment.crop, "augment.crop")
    name, values = config.optimizer.name, flatten(config.to_dict())
    parameters = inspect.signature(find(OPTIMIZERS, name, "optimizer.name")).parameters
    for key, users in _USERS.items():
        value, default = values[key], SCHEMA[key].default
        if value not in (default, []) and users.isdisjoint(parameters):
            raise UserError(
                f"config.{key}={value!r} has no effect with config.optimizer.name={name!r}; "
                f"set it to {default!r}"
            )
    find(SCHEDULES, config.schedule.name, "schedule.name")
    # The others have a key of their own.
    known, extra = [name for name in AUGMENTATIONS if name not in config.augment], []
    for name in config.augment.extra:
        if name not in known or name in extra:
            raise UserError(
                f"config.augment.extra names {name!r}; the known ones, each once: "
                f"{', '.join(known) or 'none'}"
            )
        extra.append(name)


def find(registry: Mapping[str, Any], name: str, key: str) -> Any:
    """Return the entry of `registry` that config key `key` names; UserError lists the names."""
    if name not in registry:
        raise UserError(f"config.{key}={name!r}; the known ones: {', '.join(registry)}")
    return registry[name]


def bind(function: Callable, values: Mapping[str, Any]) -> Callable:
    """Bind those of `values` that `function` has parameters for, by name."""
    parameters = inspect.signature(function).parameters
    return partial(function, **{name: values[name] for name in parameters if name in values})


def make_model(config: ConfigDict) -> AlexNet:
    """Return the linen module; UserError lists the known names."""
    model = config.model
    return create_model(
        model.name,
        model.num_classes,
        model.dtype,
        model.modifications,
        model.precision,
        model.kernels,
    )


@dataclass(frozen=True)
class Durations:
    """The lengths of a run in completed steps.

    Attributes:
        total: Steps of the run.
        per_epoch: Steps of an epoch; seldom a whole number.
        evaluate_every, save_every, log_every: Periods of `is_due`; not whole if given in epochs.
        stuck_after: Step at which a loss that has not fallen is warned about; None: never.
    """

    total: int
    per_epoch: float
    evaluate_every: float
    save_every: float
    log_every: float
    stuck_after: int | None

    def is_due(self, step: int, every: float) -> bool:
        """Return whether an event of period `every` is due after `step` completed steps.

        Events are due at round(every), round(2·every), … and at the end, so epochs do not drift.
        """
        number = step / every
        due = any(round(k * every) == step for k in (math.floor(number), math.ceil(number)))
        return due or step >= self.total

    def steps(self, epochs: Sequence[float]) -> list[int]:
        """Convert epochs to completed steps; UserError above `MOST_STEPS`."""
        return [
            _check_steps(round(epoch * self.per_epoch), f"epoch {epoch:,g}") for epoch in epochs
        ]


def _check_steps(steps: int, what: str) -> int:
    """Return `steps`; UserError if there are more than an int32 can count."""
    if steps > MOST_STEPS:
        raise UserError(f"{what} ends at step {steps:,}; a run counts to {MOST_STEPS:,}")
    return steps


def resolve_durations(config: ConfigDict, examples: int) -> Durations:
    """Convert epochs to steps; steps take precedence. UserError if there are too many."""
    per_epoch = examples / config.train.batch_size

    def in_steps(steps: int | None, epochs: float | None) -> float:
        return steps if steps is not None else max(1.0, (epochs or 0) * per_epoch)

    return Durations(
        total=_check_steps(round(in_steps(config.train.steps, config.train.epochs)), "the run"),
        per_epoch=per_epoch,
        evaluate_every=in_steps(config.eval.every_steps, config.eval.every_epochs),
        save_every=in_steps(config.checkpoint.every_steps, config.checkpoint.every_epochs),
        log_every=config.log.every_steps,
        stuck_after=config.log.stuck_after_steps,
    )


@dataclass(frozen=True)
class Rates:
    """Learning rates as functions of completed steps.

    Attributes:
        kernels: Learning rate of kernels.
        biases: Learning rate of biases; None if it follows the kernels'.
        layer_factors: Factors of the rates of the layers that have them.
    """

    kernels: optax.Schedule
    biases: optax.Schedule | None
    layer_factors: dict[str, optax.Schedule]


def make_rates(config: ConfigDict, durations: Durations) -> Rates:
    """Return the learning rates of a run."""
    schedule, optimizer = config.schedule, config.optimizer
    [warmup] = durations.steps([schedule.warmup_epochs])

    def warm_up(rate: optax.Schedule) -> optax.Schedule:
        return warmed_up(rate, warmup, schedule.warmup_start) if warmup else rate

    values = schedule.to_dict() | {
        "boundaries": schedule.boundary_steps or durations.steps(schedule.boundaries),
        "steps": durations.total,
    }
    kernels = bind(find(SCHEDULES, schedule.name, "schedule.name"), values)()
    biases, rate = None, optimizer.bias_rate_multiplier * schedule.learning_rate
    if optimizer.bias_schedule == "constant":
        biases = warm_up(optax.constant_schedule(rate))
    elif optimizer.bias_schedule == "halfway":  # Run 170 of the 2012 code: dexp[10,0,2].
        decay = optimizer.bias_decay
        biases = warm_up(staircase_exponential(rate, durations.total, decay, levels=2))
    output = find_spec(config.model.name, config.model.modifications).output_name
    layers = {
        "conv1": (schedule.conv1_boundaries, schedule.conv1_factors),
        output: (schedule.output_boundaries, schedule.output_factors),
    }
    factors = {
        layer: piecewise([1.0, *factors], durations.steps(boundaries))
        for layer, (boundaries, factors) in layers.items()
        if factors
    }
    return Rates(warm_up(kernels), biases, factors)


def make_optimizer(config: ConfigDict, rates: Rates) -> optax.GradientTransformation:
    """Return the update rule; its update takes a `rate_factor`."""
    values = config.optimizer.to_dict() | {
        "learning_rate": rates.kernels,
        "bias_learning_rate": rates.biases,
        "layer_factors": rates.layer_factors,
    }
    rule = bind(find(OPTIMIZERS, config.optimizer.name, "optimizer.name"), values)()
    return with_rate_factor(rule)


def make_augmentation(
    config: ConfigDict, preprocessing: Preprocessing, statistics: Statistics, durations: Durations
) -> Augmentation:
    """Return what the step does to images before the network sees them."""
    augment, noise = config.augment, None
    if augment.color_noise:
        until = [augment.color_noise_until] if augment.color_noise_until else []
        noise = piecewise([augment.color_noise, *[0.0] * len(until)], durations.steps(until))
    values = augment.to_dict() | {
        "color_noise": noise,
        "pca_eigenvectors": statistics.pca_eigenvectors,
        "pca_std": statistics.pca_std,
    }
    first, last = ["flip"] * augment.flip, ["color_noise"] * bool(noise)
    crop = find(CROPS, augment.crop, "augment.crop")
    return Augmentation(
        preprocessing=preprocessing,
        crop_size=config.data.crop_size,
        crop=bind(crop, values) if crop else None,
        augments={
            name: bind(AUGMENTATIONS[name], values) for name in (*first, *augment.extra, *last)
        },
        # The 2012 code keeps the scale of evaluation; the paper does not mention it.
        divisor=(lambda step: 1.0 + noise(step)) if noise and augment.color_rescale else None,
    )


def make_preprocessing(normalization: str, mean_image: np.ndarray) -> Preprocessing:
    """Return the normalization of the network's input, "mean_image" or "torchvision".

    Args:
        normalization: Value of config.data.normalization.
        mean_image: Mean image of the training split, float32 [S, S, 3].
    """
    if normalization == "torchvision":
        return Preprocessing(np.broadcast_to(TORCHVISION_MEAN, mean_image.shape), TORCHVISION_STD)
    return Preprocessing(mean_image, np.ones(3, np.float32))
