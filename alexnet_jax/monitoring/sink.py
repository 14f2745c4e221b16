"""A further place for a run's numbers: a module shaped like Weights & Biases' `wandb`."""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self

from alexnet_jax.errors import UserError, printable
from alexnet_jax.training.from_config import bind

_PROJECT = "alexnet_jax"


def check_sink(name: str | None) -> None:
    """Raise UserError if the module of config.log.sink is not installed."""
    if name is None:
        return
    try:
        found = importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        found = False
    if not found:
        raise UserError(
            f"config.log.sink={name!r}: there is no such module; pip install {name}, or leave the "
            "key unset"
        )


class Sink:
    """Sends the numbers of a run to `module.init(...)`, whose result has `log` and `finish`.

    A failure is one warning; the run continues without the sink.

    Args:
        name: Name of the module, such as "wandb" or "trackio".
        workdir: Folder of the run.
        config: Every value of the run's config, by key.
    """

    def __init__(self, name: str, workdir: Path, config: Mapping[str, Any]) -> None:
        self._name, self._run = name, None
        values = {
            "project": _PROJECT,
            "name": workdir.resolve().name,
            "config": dict(config),
            "dir": str(workdir),
        }
        # trackio's init has no "dir".
        self._run = self._try(lambda: bind(importlib.import_module(name).init, values)())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._send(lambda run: run.finish())

    def train(self, step: int, values: Mapping[str, float]) -> None:
        """Send the means of a window of training steps."""
        self._log("train", step, values)

    def evaluation(self, step: int, views: str, scores: Mapping[str, float | int]) -> None:
        """Send an evaluation."""
        self._log(views, step, scores)

    def _log(self, group: str, step: int, values: Mapping[str, float]) -> None:
        named = {f"{group}/{name}": value for name, value in values.items()}
        self._send(lambda run: run.log(named, step=step))

    def _send(self, call: Callable[[Any], object]) -> None:
        if self._run is not None:
            self._try(partial(call, self._run))

    def _try(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 Whatever it raises, training continues.
            self._run = None
            reason = printable(" ".join(f"{type(error).__name__}: {error}".split()))
            print(
                f"warning: config.log.sink={self._name!r} failed ({reason}); the run continues "
                "without it",
                file=sys.stderr,
            )
            return None
