"""Config keys and values that have new names.

An old name in a recipe or a command line is refused with the new one. Saved configs are converted
when they are read.
"""

from collections.abc import Mapping
from typing import Any

from alexnet_jax.errors import UserError

RENAMED_KEYS = {
    "augment.share": "augment.group_size",
    "model.changes": "model.modifications",
}
RENAMED_VALUES = {
    "parallel.layout": {"sharded": "fsdp"},
    "schedule.name": {"stepped": "step_decay", "geometric": "staircase_exponential"},
}


def refuse_old_key(key: str) -> None:
    """Raise UserError if `key` ("augment.share") has a new name."""
    if key in RENAMED_KEYS:
        raise UserError(f"config.{key} is now config.{RENAMED_KEYS[key]}")


def refuse_old_value(key: str, value: Any) -> None:
    """Raise UserError if `value` of `key` has a new name."""
    new = RENAMED_VALUES.get(key, {}).get(value) if isinstance(value, str) else None
    if new is not None:
        raise UserError(f"config.{key}={value!r} is now {new!r}")


def with_new_names(values: Mapping[str, Any]) -> dict[str, Any]:
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
