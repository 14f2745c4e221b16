"""Checks of a config that need only the config."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from alexnet_jax.config.renamed import refuse_old_value
from alexnet_jax.config.rules import check_value
from alexnet_jax.config.schema import SCHEMA, check_key, flatten
from alexnet_jax.errors import UserError
from alexnet_jax.system.local_path import check_folder

BEST, LATEST = "best", "latest"  # Names of checkpoints, beside their steps.


def check_config(config: ConfigDict) -> None:
    """Raise UserError for an unknown or missing key, or an impossible value."""
    values = flatten(config.to_dict())
    for key in values:
        check_key(key)
    for key, entry in SCHEMA.items():
        if key not in values:
            raise UserError(f"config.{key} is missing; docs/config.md lists every key")
        refuse_old_value(key, values[key])
        check_value(key, values[key], entry.rule)
        if entry.rule.is_path:
            check_folder(f"config.{key}", values[key] or "")
    _check_crop(values)
    _check_durations_and_checkpoint(values)
    _check_rates_of_layers(values)


def is_checkpoint_name(text: str) -> bool:
    """Return whether `text` can name a checkpoint: "best", "latest" or a number of steps."""
    return text in (BEST, LATEST) or (text.isascii() and text.isdecimal())


def _check_crop(values: Mapping[str, Any]) -> None:
    crop_size, image_size = values["data.crop_size"], values["data.image_size"]
    if crop_size is not None and crop_size > image_size:
        raise UserError(
            f"config.data.crop_size={crop_size} is larger than "
            f"config.data.image_size={image_size}; prepare larger images for model "
            f"{values['model.name']!r}, or take a network with a smaller crop, such as 'tiny'"
        )


def _check_durations_and_checkpoint(values: Mapping[str, Any]) -> None:
    for group, steps, epochs in (
        ("train", "steps", "epochs"),
        ("eval", "every_steps", "every_epochs"),
        ("checkpoint", "every_steps", "every_epochs"),
    ):
        if values[f"{group}.{steps}"] is None and values[f"{group}.{epochs}"] is None:
            raise UserError(f"set config.{group}.{steps} or config.{group}.{epochs}")
    name = values["train.init_checkpoint"]
    if name is not None and not is_checkpoint_name(name):
        raise UserError(
            f"config.train.init_checkpoint={name!r} should be {BEST}, {LATEST} or a number of steps"
        )


def _check_rates_of_layers(values: Mapping[str, Any]) -> None:
    for layer in ("conv1", "output"):
        boundaries = values[f"schedule.{layer}_boundaries"]
        factors = values[f"schedule.{layer}_factors"]
        if len(boundaries) != len(factors):
            raise UserError(
                f"config.schedule.{layer}_boundaries has {len(boundaries)} epochs, "
                f"{layer}_factors {len(factors)} factors: give one factor for each"
            )
