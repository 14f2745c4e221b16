"""Parts that a config names: an optimizer, a schedule, a crop.

A registry maps names to functions. What a config group says is passed to those parameters that the
function has, by name; so adding a part is one function and one line in its registry.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from alexnet_jax.errors import UserError


def find_part(registry: Mapping[str, Callable], key: str, name: str) -> Callable:
    """Return the function registered as `name`; UserError lists the known names of `key`."""
    if name not in registry:
        raise UserError(f"config.{key}={name!r}; the known ones: {', '.join(registry)}")
    return registry[name]


def bind(function: Callable, values: Mapping[str, Any]) -> Callable:
    """Bind to `function` those of `values` that it has parameters for."""
    parameters = inspect.signature(function).parameters
    return partial(function, **{name: values[name] for name in parameters if name in values})
