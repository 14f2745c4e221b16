"""From a config to what is done with every batch: durations, rates, update rule, augmentation.

With experiment.py and network.py the only code that reads config values.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optax
from ml_collections import ConfigDict

from alexnet_jax.config.checks import check_config
from alexnet_jax.config.schema import SCHEMA, flatten
from alexnet_jax.data.augment import CROPS, Augmentation
from alexnet_jax.data.preprocessing import TORCHVISION_MEAN, TORCHVISION_STD, Preprocessing
from alexnet_jax.data.statistics import Statistics
from alexnet_jax.models import AlexNet, Spec, create_model, find_spec
from alexnet_jax.training.durations import Durations, check_countable
from alexnet_jax.training.optimizer import OPTIMIZERS
from alexnet_jax.training.registry import bind, find_part
from alexnet_jax.training.schedule import (
    SCHEDULES,
    piecewise,
    staircase_exponential,
    warmed_up,
)

_REGISTRIES: dict[str, Mapping[str, Any]] = {
    "augment.crop": CROPS,
    "optimizer.name": OPTIMIZERS,
    "schedule.name": SCHEDULES,
}


def resolve_config(config: ConfigDict) -> ConfigDict:
    """Return a copy in which every value is the one that the run takes.

    An unset `data.crop_size` becomes the network's own. A whole number that stands for a real one
    becomes a float, because JAX would take it for an int32.

    Raises:
        UserError: the config holds something that cannot be.
    """
    check_config(config)
    resolved = config.copy_and_resolve_references()
    if resolved.data.crop_size is None:
        resolved.data.crop_size = make_spec(config).crop_size
    for key, value in flatten(resolved.to_dict()).items():
        if type(value) is int and float in SCHEMA[key].rule.types:
            group, name = key.split(".")
            with resolved.ignore_type():
                resolved[group][name] = float(value)
    check_config(resolved)
    return resolved


def check_names(config: ConfigDict) -> None:
    """Raise UserError where the config names a crop, an optimizer or a schedule there is not."""
    values = flatten(config.to_dict())
    for key, registry in _REGISTRIES.items():
        find_part(registry, key, values[key])


def make_model(config: ConfigDict) -> AlexNet:
    """Return the linen module that the config names; UserError lists the known names."""
    model = config.model
    return create_model(
        model.name,
        model.num_classes,
        model.dtype,
        model.modifications,
        model.precision,
        model.kernels,
    )


def make_spec(config: ConfigDict) -> Spec:
    """Return the table of the network that the config names, with its changes."""
    return find_spec(config.model.name, config.model.modifications)


def resolve_durations(config: ConfigDict, examples: int) -> Durations:
    """Turn epochs into steps, once; where both are set, steps count.

    Raises:
        UserError: the run would have more steps than can be counted.
    """
    per_epoch = examples / config.train.batch_size

    def in_steps(steps: int | None, epochs: float | None) -> float:
        return steps if steps is not None else max(1.0, (epochs or 0) * per_epoch)

    total = check_countable(round(in_steps(config.train.steps, config.train.epochs)), "the run")
    return Durations(
        total=total,
        per_epoch=per_epoch,
        evaluate_every=in_steps(config.eval.every_steps, config.eval.every_epochs),
        save_every=in_steps(config.checkpoint.every_steps, config.checkpoint.every_epochs),
        log_every=config.log.every_steps,
        stuck_after=config.log.stuck_after_steps,
    )


def make_schedule(config: ConfigDict, durations: Durations) -> optax.Schedule:
    """Return the learning rate as a function of completed steps."""
    schedule = config.schedule
    values = schedule.to_dict() | {
        "boundaries": schedule.boundary_steps or durations.steps(schedule.boundaries),
        "steps": durations.total,
    }
    rate = bind(find_part(SCHEDULES, "schedule.name", schedule.name), values)()
    return _warm_up(rate, config, durations)


def _warm_up(rate: optax.Schedule, config: ConfigDict, durations: Durations) -> optax.Schedule:
    [steps] = durations.steps([config.schedule.warmup_epochs])
    return warmed_up(rate, steps, config.schedule.warmup_start) if steps else rate


def make_optimizer(
    config: ConfigDict, schedule: optax.Schedule, durations: Durations
) -> optax.GradientTransformation:
    """Return the update rule that the config names."""
    values = config.optimizer.to_dict() | {
        "learning_rate": schedule,
        "bias_learning_rate": make_bias_schedule(config, durations),
        "layer_factors": make_layer_factors(config, durations),
    }
    return bind(find_part(OPTIMIZERS, "optimizer.name", config.optimizer.name), values)()


def make_layer_factors(config: ConfigDict, durations: Durations) -> dict[str, optax.Schedule]:
    """Return, for the layers with a rate of their own, what theirs is in units of the others'."""
    schedule = config.schedule
    layers = {
        "conv1": (schedule.conv1_boundaries, schedule.conv1_factors),
        make_spec(config).output_name: (schedule.output_boundaries, schedule.output_factors),
    }
    return {
        layer: piecewise([1.0, *factors], durations.steps(boundaries))
        for layer, (boundaries, factors) in layers.items()
        if factors
    }


def make_bias_schedule(config: ConfigDict, durations: Durations) -> optax.Schedule | None:
    """Return the biases' own rate; None where they follow the kernels'."""
    rate = config.optimizer.bias_rate_multiplier * config.schedule.learning_rate
    match config.optimizer.bias_schedule:
        case "constant":
            schedule = optax.constant_schedule(rate)
        case "halfway":  # Run 170 of the 2012 code: dexp[10,0,2].
            schedule = staircase_exponential(
                rate, durations.total, config.optimizer.bias_decay, levels=2
            )
        case _:
            return None
    return _warm_up(schedule, config, durations)


def make_augmentation(
    config: ConfigDict,
    preprocessing: Preprocessing,
    statistics: Statistics,
    durations: Durations,
) -> Augmentation:
    """Return what the step does to images before the network sees them."""
    return Augmentation(
        preprocessing=preprocessing,
        crop_size=config.data.crop_size,
        crop=make_crop(config),
        flip=config.augment.flip,
        group_size=config.augment.group_size,
        pca_eigenvectors=statistics.pca_eigenvectors,
        pca_std=statistics.pca_std,
        color_noise=make_pca_noise(config, durations),
        color_rescale=config.augment.color_rescale,
    )


def make_crop(config: ConfigDict) -> Callable | None:
    """Return (key, images, size) -> crops; None for the centre."""
    augment = config.augment
    crop = CROPS[augment.crop]
    return bind(crop, augment.to_dict()) if crop else None


def make_preprocessing(config: ConfigDict, statistics: Statistics) -> Preprocessing:
    """Return what is subtracted and divided by, as the config names it."""
    if config.data.normalization == "torchvision":
        mean = np.broadcast_to(TORCHVISION_MEAN, statistics.mean_image.shape)
        return Preprocessing(mean, TORCHVISION_STD)
    return Preprocessing(statistics.mean_image, np.ones(3, np.float32))


def make_pca_noise(config: ConfigDict, durations: Durations) -> optax.Schedule | None:
    """Return the colour noise as a function of completed steps; None for a run without."""
    noise, until = config.augment.color_noise, config.augment.color_noise_until
    if not noise:
        return None
    return piecewise([noise, 0.0], durations.steps([until])) if until else piecewise([noise], [])
