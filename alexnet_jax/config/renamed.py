"""Config keys and values that have new names.

An old name in a recipe or a command line is an error; saved configs are converted when read.
"""

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
