"""Rules for the values of config keys."""

import math
from dataclasses import dataclass, replace
from typing import Any

from alexnet_jax.errors import UserError

MOST_STEPS = 2**31 - 1  # Steps are counted in int32.
MOST_MEGAPIXELS = 178  # Pillow refuses larger images.
_MOST_BITS = 256  # Of any integer.
_LONGEST_TEXT = 4095  # Bytes: the longest path on Linux.


@dataclass(frozen=True)
class Rule:
    """The type and bounds of a value.

    Attributes:
        types: Types allowed; with NoneType, the value may be unset.
        least: Inclusive lower bound of a number.
        above: Exclusive lower bound.
        most: Inclusive upper bound.
        below: Exclusive upper bound.
        items: Rule of a list's items.
        choices: The only values allowed, if any.
        is_path: Whether the text names a local folder.
    """

    types: tuple[type, ...]
    least: float = -math.inf
    above: float = -math.inf
    most: float = math.inf
    below: float = math.inf
    items: "Rule | None" = None
    choices: tuple[str, ...] = ()
    is_path: bool = False

    @property
    def optional(self) -> "Rule":
        """The same rule for a value that may be unset."""
        return replace(self, types=(*self.types, type(None)))

    def at_most(self, most: float) -> "Rule":
        """The same rule with another upper bound."""
        return replace(self, most=most)


TEXT = Rule((str,))
FOLDER = replace(TEXT, is_path=True)
SWITCH = Rule((bool,))
COUNT = Rule((int,), above=0, most=MOST_STEPS)
NUMBER = Rule((float, int), least=0, most=1e30)
POSITIVE = replace(NUMBER, above=0)
SHARE = NUMBER.at_most(1)
EPOCHS = NUMBER.at_most(MOST_STEPS)
POSITIVE_EPOCHS = replace(EPOCHS, above=0)


def one_of(*choices: str) -> Rule:
    """Return the rule for text that is one of `choices`."""
    return replace(TEXT, choices=choices)


def list_of(rule: Rule) -> Rule:
    """Return the rule for a tuple or list of items that keep `rule`."""
    return Rule((tuple, list), items=rule)


def check_value(key: str, value: Any, rule: Rule) -> None:
    """Raise UserError, naming `config.key`, unless `value` keeps `rule`."""
    # bool is a subclass of int, and True is no batch size.
    if not isinstance(value, rule.types) or (isinstance(value, bool) and bool not in rule.types):
        names = " or ".join("unset" if t is type(None) else t.__name__ for t in rule.types)
        raise UserError(f"config.{key}={value!r} should be {names}")
    if rule.choices and value not in rule.choices:
        raise UserError(f"config.{key}={value!r}; the known ones: {', '.join(rule.choices)}")
    if isinstance(value, str):
        check_text(f"config.{key}", value)
    elif isinstance(value, tuple | list) and rule.items is not None:
        for item in value:
            check_value(key, item, rule.items)
    elif isinstance(value, int | float):
        _check_number(key, value, rule)


def check_text(name: str, text: str) -> None:
    """Raise UserError if `text`, the value of `name`, cannot be the name of a file."""
    try:
        length = len(text.encode())
    except UnicodeEncodeError as error:
        raise UserError(f"{name}={text!a} is not UTF-8; rename it") from error
    if "\0" in text:
        raise UserError(f"{name}={text!r} holds a null character")
    if length > _LONGEST_TEXT:
        raise UserError(f"{name} has {length:,} bytes, {text[:40]}…; {_LONGEST_TEXT:,} at most")


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
