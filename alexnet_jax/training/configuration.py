"""What a config must hold, and the checks of it that need nothing but the config itself."""

import difflib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from alexnet_jax.errors import UserError
from alexnet_jax.whole_file import write_whole
from configs import imagenet

# Every key: its types (None among them: it may be left unset), and whether it must be above 0.
_Rule = tuple[tuple[type, ...], bool]
_POSITIVE_INT: _Rule = ((int,), True)
_OPTIONAL_POSITIVE_INT: _Rule = ((int, type(None)), True)
_NUMBER: _Rule = ((float, int), False)
_POSITIVE_NUMBER: _Rule = ((float, int), True)
_OPTIONAL_POSITIVE_NUMBER: _Rule = ((float, int, type(None)), True)
_TEXT: _Rule = ((str,), False)
_SWITCH: _Rule = ((bool,), False)
_LIST: _Rule = ((tuple, list), False)
_POSITIVE_LIST: _Rule = ((tuple, list), True)

KEYS: dict[str, _Rule] = {
    "model.name": _TEXT,
    "model.num_classes": _POSITIVE_INT,
    "model.dtype": _TEXT,
    "model.changes": _LIST,
    "data.name": _TEXT,
    "data.dir": _TEXT,
    "data.source": _TEXT,
    "data.image_size": _POSITIVE_INT,
    "data.crop_size": _POSITIVE_INT,
    "data.threads": _OPTIONAL_POSITIVE_INT,
    "data.normalization": _TEXT,
    "augment.crop": _TEXT,
    "augment.smallest_area": _POSITIVE_NUMBER,
    "augment.largest_ratio": _POSITIVE_NUMBER,
    "augment.flip": _SWITCH,
    "augment.share": _POSITIVE_INT,
    "augment.color_noise": _NUMBER,
    "augment.color_noise_until": _OPTIONAL_POSITIVE_NUMBER,
    "augment.color_rescale": _SWITCH,
    "optimizer.name": _TEXT,
    "optimizer.momentum": _NUMBER,
    "optimizer.weight_decay": _NUMBER,
    "optimizer.bias_rate_multiplier": _NUMBER,
    "optimizer.bias_schedule": _TEXT,
    "optimizer.bias_decay": _POSITIVE_NUMBER,
    "optimizer.trust_coefficient": _POSITIVE_NUMBER,
    "optimizer.adapt_biases": _SWITCH,
    "schedule.name": _TEXT,
    "schedule.learning_rate": _POSITIVE_NUMBER,
    "schedule.decay": _POSITIVE_NUMBER,
    "schedule.power": _POSITIVE_NUMBER,
    "schedule.warmup_epochs": _NUMBER,
    "schedule.warmup_start": _NUMBER,
    "schedule.boundaries": _POSITIVE_LIST,
    "schedule.boundary_steps": _POSITIVE_LIST,
    "schedule.factor": _POSITIVE_NUMBER,
    "schedule.patience": _POSITIVE_INT,
    "schedule.threshold": _NUMBER,
    "schedule.drops": _POSITIVE_INT,
    "schedule.conv1_boundaries": _LIST,
    "schedule.conv1_factors": _LIST,
    "schedule.output_boundaries": _LIST,
    "schedule.output_factors": _LIST,
    "train.batch_size": _POSITIVE_INT,
    "train.microbatch_size": _OPTIONAL_POSITIVE_INT,
    "train.epochs": _OPTIONAL_POSITIVE_NUMBER,
    "train.steps": _OPTIONAL_POSITIVE_INT,
    "train.init_from": ((str, type(None)), False),
    "train.seed": ((int,), False),
    "train.deterministic": _SWITCH,
    "eval.every_steps": _OPTIONAL_POSITIVE_INT,
    "eval.every_epochs": _OPTIONAL_POSITIVE_NUMBER,
    "eval.batch_size": _POSITIVE_INT,
    "checkpoint.every_steps": _OPTIONAL_POSITIVE_INT,
    "checkpoint.every_epochs": _OPTIONAL_POSITIVE_NUMBER,
    "parallel.layout": _TEXT,
    "parallel.model_axis": _OPTIONAL_POSITIVE_INT,
    "parallel.processes": _OPTIONAL_POSITIVE_INT,
    "parallel.devices": _OPTIONAL_POSITIVE_INT,
    "parallel.initialization_timeout": _POSITIVE_INT,
    "parallel.heartbeat_timeout": _POSITIVE_INT,
    "parallel.shutdown_timeout": _POSITIVE_INT,
    "log.every_steps": _POSITIVE_INT,
    "log.stuck_after_steps": _OPTIONAL_POSITIVE_INT,
}

# Keys that came after the first runs. In configs/imagenet.py each must have the value that stands
# for what runs did before there was that key: `complete` gives it to older ones.
_YOUNGER = (
    "optimizer.trust_coefficient",
    "optimizer.adapt_biases",
    "schedule.power",
    "schedule.warmup_epochs",
    "schedule.warmup_start",
    "train.microbatch_size",
    "parallel.model_axis",
    "parallel.processes",
    "parallel.devices",
    "parallel.initialization_timeout",
    "parallel.heartbeat_timeout",
    "parallel.shutdown_timeout",
)

_CHOICES: dict[str, tuple[str, ...]] = {
    "model.dtype": ("float32", "bfloat16"),
    "data.source": ("records", "store", "device"),
    "data.normalization": ("mean_image", "torchvision"),
    "augment.crop": ("random", "random_resized", "center"),
    "optimizer.name": ("krizhevsky_sgd", "pytorch_sgd", "lars"),
    "optimizer.bias_schedule": ("same", "constant", "halfway"),
    "schedule.name": ("constant", "stepped", "geometric", "polynomial", "plateau"),
    "parallel.layout": ("data", "hybrid", "columns", "sharded"),
}

# A run goes on under another value of these: they change where things lie, not the numbers.
_FREE_ON_RESUME = (
    "data.dir",
    "data.source",
    "data.threads",
    "train.deterministic",
    "train.microbatch_size",
    "parallel.model_axis",
    "parallel.processes",
    "parallel.devices",
    "parallel.initialization_timeout",
    "parallel.heartbeat_timeout",
    "parallel.shutdown_timeout",
    "checkpoint.",
    "parallel.",
    "log.",
)


# And these may differ between the hosts of one run.
_FREE_BY_HOST = ("data.dir", "data.threads")


def check_config(config: ConfigDict) -> None:
    """Raise UserError for a key that is unknown or missing, or a value that cannot be meant."""
    values = flatten(config.to_dict())
    for key in values:
        check_key(key)
    for key, (types, positive) in KEYS.items():
        if key not in values:
            raise UserError(f"config.{key} is missing; configs/imagenet.py has every key")
        _check_value(key, values[key], types, positive)
    for key, choices in _CHOICES.items():
        if values[key] not in choices:
            raise UserError(f"config.{key}={values[key]!r}; the known ones: {', '.join(choices)}")
    _check_together(values)


def check_key(key: str) -> None:
    """Raise UserError, naming the nearest, unless `key` ("train.seed") is one of a config's."""
    if key not in KEYS:
        nearest = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.0)[0]
        raise UserError(f"config.{key} is unknown; did you mean config.{nearest}?")


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn {"model": {"name": "tiny"}} into {"model.name": "tiny"}."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def save_config(config: ConfigDict, workdir: Path) -> None:
    """Write `config.json`."""
    text = json.dumps(config.to_dict(), indent=2, sort_keys=True)
    write_whole(workdir / "config.json", text + "\n")


def load_config(workdir: Path) -> ConfigDict:
    """Read the config that a run was made with; UserError where there is none."""
    path = workdir / "config.json"
    if not path.exists():
        raise UserError(f"{workdir} is no workdir of a run: it has no config.json")
    try:
        values = json.loads(path.read_text())
        if not isinstance(values, dict):
            raise ValueError(f"no config but {type(values).__name__}")
        return complete(values)
    except ValueError as error:
        raise UserError(
            f"{path} is damaged ({error}); restore it from a copy, or train on with the config of "
            "the run and --resume=ignore_config"
        ) from error


def complete(values: Mapping[str, Any]) -> ConfigDict:
    """Return a saved config with the keys that have come since it was saved.

    They take their values from configs/imagenet.py, the one place that has any. Other keys are not
    filled in: a config that lacks one was damaged, and what it meant is unknown.
    """
    config, defaults = ConfigDict(values), imagenet.get_config()
    for key in _YOUNGER:
        group, name = key.split(".")
        if isinstance(config.get(group), ConfigDict) and name not in config[group]:
            config[group][name] = defaults[group][name]
    return config


def differences(old: ConfigDict, new: ConfigDict) -> list[str]:
    """Say, a line a key, in what that changes the numbers of a run two configs differ."""
    # Through JSON both ways: it turns tuples into lists.
    before = flatten(json.loads(json.dumps(old.to_dict())))
    after = flatten(json.loads(json.dumps(new.to_dict())))
    return [
        f"{key}: {before.get(key)!r} -> {after.get(key)!r}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key) and not key.startswith(_FREE_ON_RESUME)
    ]


def must_be_same(config: ConfigDict) -> dict[str, Any]:
    """Return, by key, what all processes of a run must have in common."""
    values = flatten(config.to_dict())
    return {key: value for key, value in values.items() if key not in _FREE_BY_HOST}


def _check_value(key: str, value: Any, types: tuple[type, ...], positive: bool) -> None:
    # bool is a subclass of int, and True is no batch size.
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        names = " or ".join("unset" if t is type(None) else t.__name__ for t in types)
        raise UserError(f"config.{key}={value!r} should be {names}")
    if isinstance(value, tuple | list):
        items = (str,) if key == "model.changes" else (float, int)
        for item in value:
            _check_value(key, item, items, positive)
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"config.{key}={value} is not a finite number")
    if not isinstance(value, int | float):
        return
    if positive and value <= 0:
        raise UserError(f"config.{key}={value} must be above 0")
    if value < 0:
        raise UserError(f"config.{key}={value} must not be below 0")


def _check_together(values: Mapping[str, Any]) -> None:
    if values["data.crop_size"] > values["data.image_size"]:
        raise UserError(
            f"config.data.crop_size={values['data.crop_size']} is larger than "
            f"config.data.image_size={values['data.image_size']}"
        )
    for group, steps, epochs in (
        ("train", "steps", "epochs"),
        ("eval", "every_steps", "every_epochs"),
        ("checkpoint", "every_steps", "every_epochs"),
    ):
        if values[f"{group}.{steps}"] is None and values[f"{group}.{epochs}"] is None:
            raise UserError(f"set config.{group}.{steps} or config.{group}.{epochs}")
    if values["augment.smallest_area"] > 1 or values["augment.largest_ratio"] < 1:
        raise UserError(
            f"config.augment.smallest_area={values['augment.smallest_area']} must be a share of "
            f"the image, at most 1; largest_ratio={values['augment.largest_ratio']} at least 1"
        )
    for layer in ("conv1", "output"):
        boundaries = values[f"schedule.{layer}_boundaries"]
        factors = values[f"schedule.{layer}_factors"]
        if len(boundaries) != len(factors):
            raise UserError(
                f"config.schedule.{layer}_boundaries has {len(boundaries)} epochs, "
                f"{layer}_factors {len(factors)} factors: give one factor for each"
            )
    _check_rates(values)
    if values["optimizer.momentum"] >= 1:
        raise UserError(f"config.optimizer.momentum={values['optimizer.momentum']} must be below 1")


def _check_rates(values: Mapping[str, Any]) -> None:
    if values["schedule.warmup_start"] > 1:
        raise UserError(
            f"config.schedule.warmup_start={values['schedule.warmup_start']} is the share of the "
            "rate that warm-up begins with, at most 1"
        )
    name = values["optimizer.name"]
    if name == "krizhevsky_sgd":
        return
    for key in ("schedule.conv1_factors", "schedule.output_factors"):
        if values[key]:
            raise UserError(f"config.{key} goes with optimizer.name='krizhevsky_sgd', not {name!r}")
    if values["schedule.name"] == "plateau" and name == "pytorch_sgd":
        raise UserError(
            "config.schedule.name='plateau' goes with optimizer.name='krizhevsky_sgd' or 'lars'"
        )
