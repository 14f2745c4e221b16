"""From config values to the parts of every step: durations, rates, update rule, augmentation."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
import optax
from ml_collections import ConfigDict

from alexnet_jax.config.checks import check_config
from alexnet_jax.config.rules import MOST_STEPS
from alexnet_jax.config.schema import SCHEMA, flatten
from alexnet_jax.data.augment import AUGMENTATIONS, CROPS, Augmentation
from alexnet_jax.data.mixup import Mixed, mix_images
from alexnet_jax.data.preprocessing import TORCHVISION_MEAN, TORCHVISION_STD, Preprocessing
from alexnet_jax.data.statistics import Statistics
from alexnet_jax.errors import UserError
from alexnet_jax.models import AlexNet, Spec, create_model, find_spec
from alexnet_jax.training.averaging import update_average
from alexnet_jax.training.loss import Loss, cross_entropy, smoothed_cross_entropy
from alexnet_jax.training.optimizer import OPTIMIZERS
from alexnet_jax.training.schedule import SCHEDULES, piecewise, staircase_exponential, warmed_up

_REGISTRIES: dict[str, Mapping[str, Any]] = {
    "augment.crop": CROPS,
    "optimizer.name": OPTIMIZERS,
    "schedule.name": SCHEDULES,
}


def resolve_config(config: ConfigDict) -> ConfigDict:
    """Return a checked copy with the values that the run uses.

    An unset `data.crop_size` becomes the network's own. An int for a float key becomes a float,
    because JAX would make it an int32.

    Raises:
        UserError: a value is not possible.
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
    """Raise UserError if the config names an unknown crop, augmentation, optimizer or schedule."""
    for key in _REGISTRIES:
        _find_part(config, key)
    choose_augmentations(config)


def _find_part(config: ConfigDict, key: str) -> Any:
    """Return the function that config key `key` names; UserError lists the known names."""
    registry, name = _REGISTRIES[key], flatten(config.to_dict())[key]
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


def make_spec(config: ConfigDict) -> Spec:
    """Return the table of the network, with its modifications."""
    return find_spec(config.model.name, config.model.modifications)


def name_network(config: ConfigDict) -> str:
    """Return the network's name, with its modifications, and its crop size if not the default."""
    name, crop_size = config.model.name, config.data.crop_size
    if config.model.modifications:
        name += f" with {', '.join(config.model.modifications)}"
    if crop_size != make_spec(config).crop_size:
        name += f" on crops of {crop_size}"
    return name


@dataclass(frozen=True)
class Durations:
    """The lengths of a run in completed steps.

    Attributes:
        total: of the run.
        per_epoch: of an epoch; seldom a whole number.
        evaluate_every, save_every, log_every: periods of `is_due`; not whole if given in epochs.
        stuck_after: step at which a loss that has not fallen is warned about; None: never.
    """

    total: int
    per_epoch: float
    evaluate_every: float
    save_every: float
    log_every: float
    stuck_after: int | None

    def is_due(self, step: int, every: float) -> bool:
        """Return whether an event of period `every` is due after `step` completed steps.

        Events are due at round(every), round(2·every), … and at the end of the run, so periods
        given in epochs do not drift.
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


def make_schedule(config: ConfigDict, durations: Durations) -> optax.Schedule:
    """Return the learning rate as a function of completed steps."""
    schedule = config.schedule
    values = schedule.to_dict() | {
        "boundaries": schedule.boundary_steps or durations.steps(schedule.boundaries),
        "steps": durations.total,
    }
    return _warm_up(bind(_find_part(config, "schedule.name"), values)(), config, durations)


def late_changes(config: ConfigDict, durations: Durations) -> list[str]:
    """Return the changes of learning rates that come after the end of the run, as key=value."""
    schedule = config.schedule
    keys = ["conv1_boundaries", "output_boundaries"]
    if schedule.name == "step_decay" and not schedule.boundary_steps:
        keys.append("boundaries")
    steps = {key: durations.steps(schedule[key]) for key in keys}
    if schedule.name == "step_decay":
        steps["boundary_steps"] = list(schedule.boundary_steps)
    return [
        f"schedule.{key}={value:g}"
        for key, positions in steps.items()
        for value, step in zip(schedule[key], positions, strict=True)
        if step >= durations.total
    ]


def _warm_up(rate: optax.Schedule, config: ConfigDict, durations: Durations) -> optax.Schedule:
    [steps] = durations.steps([config.schedule.warmup_epochs])
    return warmed_up(rate, steps, config.schedule.warmup_start) if steps else rate


def make_optimizer(
    config: ConfigDict, schedule: optax.Schedule, durations: Durations
) -> optax.GradientTransformation:
    """Return the update rule."""
    values = config.optimizer.to_dict() | {
        "learning_rate": schedule,
        "bias_learning_rate": make_bias_schedule(config, durations),
        "layer_factors": make_layer_factors(config, durations),
    }
    return bind(_find_part(config, "optimizer.name"), values)()


def make_layer_factors(config: ConfigDict, durations: Durations) -> dict[str, optax.Schedule]:
    """Return the factors of the learning rate, of layers that have them."""
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
    """Return the biases' own learning rate; None if it follows the kernels'."""
    optimizer = config.optimizer
    rate = optimizer.bias_rate_multiplier * config.schedule.learning_rate
    if optimizer.bias_schedule == "constant":
        schedule = optax.constant_schedule(rate)
    elif optimizer.bias_schedule == "halfway":  # Run 170 of the 2012 code: dexp[10,0,2].
        schedule = staircase_exponential(rate, durations.total, optimizer.bias_decay, levels=2)
    else:
        return None
    return _warm_up(schedule, config, durations)


def make_augmentation(
    config: ConfigDict, preprocessing: Preprocessing, statistics: Statistics, durations: Durations
) -> Augmentation:
    """Return what the step does to images before the network sees them."""
    noise = make_pca_noise(config, durations)
    values = config.augment.to_dict() | {
        "color_noise": noise,
        "pca_eigenvectors": statistics.pca_eigenvectors,
        "pca_std": statistics.pca_std,
    }
    return Augmentation(
        preprocessing=preprocessing,
        crop_size=config.data.crop_size,
        crop=make_crop(config),
        augments={name: bind(AUGMENTATIONS[name], values) for name in choose_augmentations(config)},
        # The 2012 code keeps the scale of evaluation; the paper does not mention it.
        divisor=(lambda step: 1.0 + noise(step))
        if noise and config.augment.color_rescale
        else None,
    )


def choose_augmentations(config: ConfigDict) -> list[str]:
    """Return the names in `AUGMENTATIONS` that the config applies to crops, in order.

    Raises:
        UserError: `augment.extra` names an unknown one, or one twice.
    """
    augment = config.augment
    known = [name for name in AUGMENTATIONS if name not in augment]  # The others have a key.
    for name in augment.extra:
        if name not in known or augment.extra.count(name) > 1:
            raise UserError(
                f"config.augment.extra names {name!r}; the known ones, each once: "
                f"{', '.join(known) or 'none'}"
            )
    first, last = ["flip"] * augment.flip, ["color_noise"] * bool(augment.color_noise)
    return [*first, *augment.extra, *last]


def make_crop(config: ConfigDict) -> Callable | None:
    """Return (key, images, size) -> crops; None for the centre."""
    crop = _find_part(config, "augment.crop")
    return bind(crop, config.augment.to_dict()) if crop else None


def make_pca_noise(config: ConfigDict, durations: Durations) -> optax.Schedule | None:
    """Return the colour noise as a function of completed steps; None without noise."""
    noise, until = config.augment.color_noise, config.augment.color_noise_until
    if not noise:
        return None
    return piecewise([noise, 0.0], durations.steps([until])) if until else piecewise([noise], [])


def make_loss(config: ConfigDict) -> Loss:
    """Return (logits, labels) -> losses."""
    smoothing = config.train.label_smoothing
    return (
        partial(smoothed_cross_entropy, label_smoothing=smoothing) if smoothing else cross_entropy
    )


def make_mix(config: ConfigDict) -> Callable[[jax.Array, jax.Array, jax.Array], Mixed] | None:
    """Return (key, images, labels) -> means of two images each; None for single images."""
    mixup = config.augment.mixup
    return partial(mix_images, mixup=mixup) if mixup else None


def make_average(config: ConfigDict) -> Callable[[Any, Any, jax.Array], Any] | None:
    """Return (average, variables, completed steps) -> average; None for a run without one."""
    return (
        partial(update_average, ema_decay=config.train.ema_decay) if is_averaged(config) else None
    )


def is_averaged(config: ConfigDict) -> bool:
    """Return whether the run keeps a moving average of its variables."""
    return bool(config.train.ema_decay)


def make_preprocessing(config: ConfigDict, statistics: Statistics) -> Preprocessing:
    """Return the normalisation of the network's input."""
    if config.data.normalization == "torchvision":
        mean = np.broadcast_to(TORCHVISION_MEAN, statistics.mean_image.shape)
        return Preprocessing(mean, TORCHVISION_STD)
    return Preprocessing(statistics.mean_image, np.ones(3, np.float32))
