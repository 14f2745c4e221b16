"""Reading a sweep file: Python whose get_sweep() says which trials there are.

It returns a list of overrides, or of objects with `overrides` and, where wanted, `name` and
`published`; or a search space, a value or a distribution of Ray Tune's by config key.
"""

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alexnet_jax.errors import UserError, describe_failure
from alexnet_jax.sweeps.trials import SEED, Trial, grid, name_trial

_GRID = "grid_search"  # tune.grid_search([1, 2]) is {"grid_search": [1, 2]}.


def load_sweep(path: Path, samples: int | None) -> list[Trial]:
    """Return the trials of a sweep file.

    Args:
        path: the file.
        samples: how often to draw from a search space.

    Raises:
        UserError: the file does not say which trials there are.
    """
    if not path.is_file():
        raise UserError(f"--sweep={path}: there is no such file; see configs/sweeps/")
    sweep = _call_get_sweep(path)
    if isinstance(sweep, Mapping):
        sweep = _enumerate(sweep, samples, path)
    elif samples is not None:
        raise UserError(f"--samples={samples}: {path} is no search space, it lists its trials")
    if not isinstance(sweep, list | tuple):
        raise UserError(
            f"get_sweep() of --sweep={path} returned {type(sweep).__name__}; it should return a "
            "list of overrides or a search space"
        )
    if not sweep:
        raise UserError(f"--sweep={path} lists no trials")
    return [name_trial(_as_trial(entry, path)) for entry in sweep]


def _call_get_sweep(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"sweep_file_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"--sweep={path} is no Python file; its name should end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Its dataclasses look themselves up there.
    try:
        spec.loader.exec_module(module)
        if not hasattr(module, "get_sweep"):
            raise UserError(f"--sweep={path} has no get_sweep(); see configs/sweeps/ablations.py")
        return module.get_sweep()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"--sweep={path} {describe_failure(error)}") from error


def _as_trial(entry: Any, path: Path) -> Trial:
    overrides = entry if isinstance(entry, Mapping) else getattr(entry, "overrides", None)
    if not isinstance(overrides, Mapping) or not all(isinstance(key, str) for key in overrides):
        raise UserError(f"--sweep={path}: {entry!r} is no overrides such as {{'{SEED}': 1}}")
    name, published = getattr(entry, "name", ""), getattr(entry, "published", "")
    return Trial(dict(overrides), str(name), str(published))


def _enumerate(space: Mapping[str, Any], samples: int | None, path: Path) -> list[dict[str, Any]]:
    """Return every combination of a search space's grids, with `samples` draws of the rest."""
    grids = {key: value[_GRID] for key, value in space.items() if isinstance(value, Mapping)}
    drawn = {key: value for key, value in space.items() if hasattr(value, "sample")}
    fixed = {key: [value] for key, value in space.items() if key not in grids | drawn}
    if drawn and samples is None:
        raise UserError(
            f"--sweep={path} draws {', '.join(drawn)}: say how many trials with --samples=N"
        )
    if samples is not None and not drawn:
        raise UserError(f"--samples={samples}: {path} has nothing to draw, its grid is finite")
    return [
        {**combination, **draw}
        for draw in _draw(drawn, samples or 1)
        for combination in grid({**fixed, **grids})
    ]


def _draw(domains: Mapping[str, Any], samples: int) -> list[dict[str, Any]]:
    """Draw with a seed of its own: the first trials stay the same when more are asked for."""
    import numpy as np

    generator = np.random.RandomState(0)
    return [
        {key: domain.sample(random_state=generator) for key, domain in domains.items()}
        for _ in range(samples)
    ]
