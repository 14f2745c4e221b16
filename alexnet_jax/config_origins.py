"""Where each value of a config was set: the schema, the recipe, its variant, the command line."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from alexnet_jax.config.schema import SCHEMA, default_config, flatten


def find_origins(
    config: ConfigDict, base: ConfigDict, overrides: Mapping[str, Any], recipe: str, variant: str
) -> dict[str, str]:
    """Return, by key, who set its value.

    Args:
        config: Config with all values.
        base: Config that the recipe returns without a variant.
        overrides: Values given on the command line, by key.
        recipe: Name of the recipe's file.
        variant: Variant given after the recipe's name; "" if there is none.
    """
    values, defaults, plain = (flatten(some.to_dict()) for some in (config, default_config(), base))

    def origin(key: str) -> str:
        if key in overrides:
            return "command line"
        if values[key] != plain.get(key):
            return f"{recipe}:{variant}"
        return "default" if values[key] == defaults[key] else recipe

    return {key: origin(key) for key in SCHEMA if key in values}


def format_origins(config: ConfigDict, origins: Mapping[str, str]) -> str:
    """Return a table of every key, its value and its origin."""
    values = flatten(config.to_dict())
    shown = {key: "unset" if values[key] is None else repr(values[key]) for key in origins}
    keys, widest = max(map(len, origins)), max(map(len, shown.values()))
    rows = [("key", "value", "set by"), *((key, shown[key], origins[key]) for key in origins)]
    return "\n".join(f"{key:<{keys}}  {value:<{widest}}  {origin}" for key, value, origin in rows)
