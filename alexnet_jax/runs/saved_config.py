"""Saved configs of runs, and their differences."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from alexnet_jax.config.renamed import RENAMED_KEYS, RENAMED_VALUES
from alexnet_jax.config.schema import SCHEMA, default_config, flatten
from alexnet_jax.errors import UserError
from alexnet_jax.system.atomic_write import atomic_write

# With the plateau schedule the times of evaluations change the learning rate.
_DECIDE_PLATEAUS = ("eval.every_steps", "eval.every_epochs")


def save_config(config: ConfigDict, workdir: Path) -> None:
    """Write `config.json`."""
    text = json.dumps(config.to_dict(), indent=2, sort_keys=True)
    atomic_write(workdir / "config.json", text + "\n")


def load_config(workdir: Path) -> ConfigDict:
    """Read the config of a run; UserError if there is none."""
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
    """Return a saved config with new names, and with keys added since then at their defaults.

    Other missing keys are not filled in: they mean that the config is damaged.
    """
    config, defaults = ConfigDict(_with_new_names(values)), default_config()
    for key, entry in SCHEMA.items():
        group, name = key.split(".")
        lacks = isinstance(config.get(group), ConfigDict) and name not in config[group]
        if entry.added_later and lacks:
            config[group][name] = defaults[group][name]
    return config


def _with_new_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a saved config, {group: {name: value}}, with new keys and values."""
    converted = {
        group: dict(entries) if isinstance(entries, Mapping) else entries
        for group, entries in values.items()
    }
    for old, new in RENAMED_KEYS.items():
        (group, old_name), new_name = old.split("."), new.split(".")[1]
        entries = converted.get(group)
        if isinstance(entries, dict) and old_name in entries:
            entries.setdefault(new_name, entries[old_name])
            del entries[old_name]
    for key, names in RENAMED_VALUES.items():
        group, name = key.split(".")
        entries = converted.get(group)
        if isinstance(entries, dict) and isinstance(entries.get(name), str):
            entries[name] = names.get(entries[name], entries[name])
    return converted


def as_saved(config: ConfigDict) -> dict[str, Any]:
    """Return each key, "group.name", with its value as JSON has it: lists, no tuples."""
    return dict(flatten(json.loads(json.dumps(config.to_dict()))))


def differences(old: ConfigDict, new: ConfigDict) -> list[str]:
    """Return a line for each key that differs and changes the numbers of a run."""
    before, after = as_saved(old), as_saved(new)
    plateau = "plateau" in (before.get("schedule.name"), after.get("schedule.name"))
    return [
        f"{key}: {before.get(key)!r} -> {after.get(key)!r}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
        and (
            (plateau and key in _DECIDE_PLATEAUS)
            or not (key in SCHEMA and SCHEMA[key].free_on_resume)
        )
    ]


def must_be_same(config: ConfigDict) -> dict[str, Any]:
    """Return the values, by key, that must be the same in all processes of a run."""
    values = flatten(config.to_dict())
    return {key: value for key, value in values.items() if not SCHEMA[key].per_host}
