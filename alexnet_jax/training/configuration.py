"""What a config must hold, and the checks of it that need nothing but the config itself."""

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from alexnet_jax.errors import UserError
from alexnet_jax.local_path import check_folder
from alexnet_jax.whole_file import write_whole
from configs import imagenet

# Steps are counted in int32, on the devices too.
MOST_STEPS = 2**31 - 1
MOST_MEGAPIXELS = 178  # Of an image; Pillow refuses larger ones, whatever we allow.
_MOST_BITS = 256  # Of an integer, whatever its key.
_LONGEST_TEXT = 4095  # Bytes: what Linux takes as a path.


@dataclass(frozen=True)
class Rule:
    """What the value of a key, or each item of a list, must be.

    Attributes:
        types: None among them: it may be left unset.
        least: the smallest number.
        above: what a number must be larger than.
        most: the largest number.
        below: what a number must be smaller than.
        items: the rule of a list's items.
    """

    types: tuple[type, ...]
    least: float = -math.inf
    above: float = -math.inf
    most: float = math.inf
    below: float = math.inf
    items: "Rule | None" = None

    @property
    def optional(self) -> "Rule":
        """The same for a value that may be left unset."""
        return replace(self, types=(*self.types, type(None)))


_TEXT = Rule((str,))
_SWITCH = Rule((bool,))
_POSITIVE_INT = Rule((int,), above=0, most=MOST_STEPS)
_OPTIONAL_POSITIVE_INT = _POSITIVE_INT.optional
_NUMBER = Rule((float, int), least=0, most=1e30)
_POSITIVE_NUMBER = replace(_NUMBER, above=0)
_OPTIONAL_POSITIVE_NUMBER = _POSITIVE_NUMBER.optional
_SHARE = replace(_NUMBER, most=1)
_EPOCHS = replace(_NUMBER, most=MOST_STEPS)
_NAMES = Rule((tuple, list), items=_TEXT)
_NUMBERS = Rule((tuple, list), items=_NUMBER)
_LIST_OF_EPOCHS = Rule((tuple, list), items=_EPOCHS)
_LATER_EPOCHS = Rule((tuple, list), items=replace(_EPOCHS, above=0))

KEYS: dict[str, Rule] = {
    "model.name": _TEXT,
    "model.num_classes": replace(_POSITIVE_INT, most=2**24),
    "model.dtype": _TEXT,
    "model.precision": _TEXT,
    "model.changes": _NAMES,
    "data.name": _TEXT,
    "data.dir": _TEXT,
    "data.source": _TEXT,
    "data.image_size": replace(_POSITIVE_INT, most=4096),
    "data.crop_size": _OPTIONAL_POSITIVE_INT,
    "data.threads": replace(_OPTIONAL_POSITIVE_INT, most=4096),
    "data.max_megapixels": replace(_POSITIVE_NUMBER, most=MOST_MEGAPIXELS),
    "data.normalization": _TEXT,
    "augment.crop": _TEXT,
    "augment.smallest_area": replace(_SHARE, above=0),
    "augment.largest_ratio": replace(_NUMBER, least=1),
    "augment.flip": _SWITCH,
    "augment.share": _POSITIVE_INT,
    "augment.color_noise": _NUMBER,
    "augment.color_noise_until": replace(_EPOCHS, above=0).optional,
    "augment.color_rescale": _SWITCH,
    "optimizer.name": _TEXT,
    "optimizer.momentum": replace(_NUMBER, below=1),
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
    "schedule.warmup_epochs": _EPOCHS,
    "schedule.warmup_start": _SHARE,
    "schedule.boundaries": _LATER_EPOCHS,
    "schedule.boundary_steps": _LATER_EPOCHS,
    "schedule.factor": replace(_POSITIVE_NUMBER, most=1000),
    "schedule.patience": _POSITIVE_INT,
    "schedule.threshold": _NUMBER,
    "schedule.drops": _POSITIVE_INT,
    "schedule.conv1_boundaries": _LIST_OF_EPOCHS,
    "schedule.conv1_factors": _NUMBERS,
    "schedule.output_boundaries": _LIST_OF_EPOCHS,
    "schedule.output_factors": _NUMBERS,
    "train.batch_size": _POSITIVE_INT,
    "train.microbatch_size": _OPTIONAL_POSITIVE_INT,
    "train.epochs": replace(_EPOCHS, above=0).optional,
    "train.steps": _OPTIONAL_POSITIVE_INT,
    "train.init_from": _TEXT.optional,
    "train.init_checkpoint": _TEXT.optional,
    "train.seed": Rule((int,), least=0, most=2**32 - 1),
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
    "model.precision",
    "data.max_megapixels",
    "optimizer.trust_coefficient",
    "optimizer.adapt_biases",
    "schedule.power",
    "schedule.warmup_epochs",
    "schedule.warmup_start",
    "train.init_checkpoint",
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
    "model.precision": ("float32", "fast"),
    "data.source": ("records", "store", "device"),
    "data.normalization": ("mean_image", "torchvision"),
    "augment.crop": ("random", "random_resized", "center"),
    "optimizer.name": ("krizhevsky_sgd", "pytorch_sgd", "lars"),
    "optimizer.bias_schedule": ("same", "constant", "halfway"),
    "schedule.name": ("constant", "stepped", "geometric", "polynomial", "plateau"),
    "parallel.layout": ("data", "hybrid", "columns", "sharded"),
}

BEST, LATEST = "best", "latest"  # Checkpoints, which are named so or by their steps.

_PATHS = ("data.dir", "train.init_from")

# A run goes on under another value of these: they change where things lie, not the numbers.
_FREE_ON_RESUME = (
    "data.dir",
    "data.source",
    "data.threads",
    "data.max_megapixels",
    "train.deterministic",
    "train.microbatch_size",
    "eval.",
    "checkpoint.",
    "parallel.",
    "log.",
)


# But with the plateau schedule the tests' errors decide the rate, and so does when they come.
_DECIDE_PLATEAUS = ("eval.every_steps", "eval.every_epochs")

# And these may differ between the hosts of one run.
_FREE_BY_HOST = ("data.dir", "data.threads")


def check_config(config: ConfigDict) -> None:
    """Raise UserError for a key that is unknown or missing, or a value that cannot be meant."""
    values = flatten(config.to_dict())
    for key in values:
        check_key(key)
    for key, rule in KEYS.items():
        if key not in values:
            raise UserError(f"config.{key} is missing; configs/imagenet.py has every key")
        _check_value(key, values[key], rule)
    for key, choices in _CHOICES.items():
        if values[key] not in choices:
            raise UserError(f"config.{key}={values[key]!r}; the known ones: {', '.join(choices)}")
    for key in _PATHS:
        check_folder(f"config.{key}", values[key] or "")
    _check_together(values)


def check_key(key: str) -> None:
    """Raise UserError, naming the nearest, unless `key` ("train.seed") is one of a config's."""
    if key not in KEYS:
        nearest = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.0)[0]
        raise UserError(f"config.{key} is unknown; did you mean config.{nearest}?")


def is_checkpoint_name(text: str) -> bool:
    """Say whether `text` can name a checkpoint: "best", "latest" or a number of steps."""
    return text in (BEST, LATEST) or (text.isascii() and text.isdecimal())


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
    except (ValueError, RecursionError) as error:
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
    plateau = "plateau" in (before.get("schedule.name"), after.get("schedule.name"))
    fixed = _DECIDE_PLATEAUS if plateau else ()
    return [
        f"{key}: {before.get(key)!r} -> {after.get(key)!r}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
        and (key in fixed or not key.startswith(_FREE_ON_RESUME))
    ]


def must_be_same(config: ConfigDict) -> dict[str, Any]:
    """Return, by key, what all processes of a run must have in common."""
    values = flatten(config.to_dict())
    return {key: value for key, value in values.items() if key not in _FREE_BY_HOST}


def check_text(name: str, text: str) -> None:
    """Raise UserError for text that no file system takes as a name; `name` is whose value it is."""
    try:
        length = len(text.encode())
    except UnicodeEncodeError as error:
        raise UserError(f"{name}={text!a} is not UTF-8; rename it") from error
    if "\0" in text:
        raise UserError(f"{name}={text!r} holds a null character")
    if length > _LONGEST_TEXT:
        raise UserError(f"{name} has {length:,} bytes, {text[:40]}…; {_LONGEST_TEXT:,} at most")


def _check_value(key: str, value: Any, rule: Rule) -> None:
    # bool is a subclass of int, and True is no batch size.
    if not isinstance(value, rule.types) or (isinstance(value, bool) and bool not in rule.types):
        names = " or ".join("unset" if t is type(None) else t.__name__ for t in rule.types)
        raise UserError(f"config.{key}={value!r} should be {names}")
    if isinstance(value, str):
        check_text(f"config.{key}", value)
    elif isinstance(value, tuple | list) and rule.items is not None:
        for item in value:
            _check_value(key, item, rule.items)
    elif isinstance(value, int | float):
        _check_number(key, value, rule)


def _check_number(key: str, value: float, rule: Rule) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"config.{key}={value} is not a finite number")
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:  # Python refuses to print some.
        raise UserError(f"config.{key} has {value.bit_length():,} bits; {_MOST_BITS} at most")
    if value <= rule.above:
        raise UserError(f"config.{key}={value} must be above {rule.above:g}")
    if value < rule.least:
        raise UserError(f"config.{key}={value} must not be below {rule.least:g}")
    if value >= rule.below:
        raise UserError(f"config.{key}={value} must be below {rule.below:g}")
    if value > rule.most:
        raise UserError(f"config.{key}={value} must not be above {rule.most:,}")


def _check_together(values: Mapping[str, Any]) -> None:
    crop_size, image_size = values["data.crop_size"], values["data.image_size"]
    if crop_size is not None and crop_size > image_size:
        raise UserError(
            f"config.data.crop_size={crop_size} is larger than "
            f"config.data.image_size={image_size}; prepare larger images for model "
            f"{values['model.name']!r}, or take a network with a smaller crop, such as 'tiny'"
        )
    checkpoint = values["train.init_checkpoint"]
    if checkpoint is not None and not is_checkpoint_name(checkpoint):
        raise UserError(
            f"config.train.init_checkpoint={checkpoint!r} should be {BEST}, {LATEST} or a number "
            "of steps"
        )
    for group, steps, epochs in (
        ("train", "steps", "epochs"),
        ("eval", "every_steps", "every_epochs"),
        ("checkpoint", "every_steps", "every_epochs"),
    ):
        if values[f"{group}.{steps}"] is None and values[f"{group}.{epochs}"] is None:
            raise UserError(f"set config.{group}.{steps} or config.{group}.{epochs}")
    for layer in ("conv1", "output"):
        boundaries = values[f"schedule.{layer}_boundaries"]
        factors = values[f"schedule.{layer}_factors"]
        if len(boundaries) != len(factors):
            raise UserError(
                f"config.schedule.{layer}_boundaries has {len(boundaries)} epochs, "
                f"{layer}_factors {len(factors)} factors: give one factor for each"
            )
    _check_rates(values)


def _check_rates(values: Mapping[str, Any]) -> None:
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
