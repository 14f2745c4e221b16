"""What a run leaves to read: metrics.jsonl, TensorBoard, a line or a bar for who watches."""

import json
import math
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

from tqdm import tqdm

from alexnet_jax.atomic_write import atomic_write
from alexnet_jax.parallel.multihost import broadcast_from_process_0, is_process_0
from alexnet_jax.process import import_without

_FILE = "metrics.jsonl"
SCORES = ("top1_error", "top5_error", "loss", "count")  # The numbers of a test.
# Numbers that are read back from a line of each kind.
_WANTED = {"train": ("images_per_second",), "eval": SCORES}


class RunLog:
    """The log of a workdir; a run that continues at `step` forgets what it will do again.

    Lines of metrics.jsonl are objects: {"kind": "train" or "eval", "step": completed steps, ...}.
    In a cluster all processes know the lines, and the first writes them.
    """

    def __init__(self, workdir: Path, step: int, total_steps: int) -> None:
        path = workdir / _FILE
        self.lines = broadcast_from_process_0(partial(_begin_file, path, step))
        self._file = (path if is_process_0() else Path(os.devnull)).open("a")
        self._board = _import_tensorboard().SummaryWriter(
            str(workdir / "tensorboard"), purge_step=step + 1, write_to_disk=is_process_0()
        )
        self._bar = tqdm(
            total=total_steps,
            initial=step,
            unit="step",
            dynamic_ncols=True,
            disable=not (is_process_0() and sys.stderr.isatty()),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.close()
        self._file.close()
        self._board.close()

    def train(self, step: int, values: Mapping[str, float], seconds_left: float) -> None:
        """Record a window of training steps that ended with `step` completed."""
        self._write("train", step, values)
        for name, value in values.items():
            self._board.add_scalar(f"train/{name}", value, step)
        summary = (
            f"loss {values['loss']:.4f}  error {values['top1_error']:.4f}  "
            f"{values['images_per_second']:.0f} images/s"
        )
        if not self._bar.disable:
            self._bar.set_postfix_str(summary)
            return
        self.say(
            f"step {step}/{self._bar.total}  epoch {values['epoch']:.2f}  {summary}  "
            f"rate {values['learning_rate']:.2e}  waiting {values['data_wait_fraction']:.1%}  "
            f"to go {tqdm.format_interval(seconds_left)}"
        )

    def advance(self, step: int) -> None:
        """Move the bar to `step` completed steps."""
        self._bar.update(step - self._bar.n)

    def evaluation(self, step: int, views: str, scores: Mapping[str, float | int]) -> None:
        """Record a test after `step` completed steps."""
        self._write("eval", step, {"views": views, **scores})
        for name in ("loss", "top1_error", "top5_error"):
            self._board.add_scalar(f"{views}/{name}", scores[name], step)
        self.say(
            f"step {step}: {views.replace('_', ' ')} top-1 error {scores['top1_error']:.4f}, "
            f"top-5 error {scores['top5_error']:.4f}, loss {scores['loss']:.4f} "
            f"on {scores['count']} images"
        )

    def scores(self, step: int, views: str) -> dict[str, Any] | None:
        """Return what testing `views` after `step` completed steps gave, if the log has it."""
        for line in self.lines:
            if (line["kind"], line["step"], line.get("views")) == ("eval", step, views):
                return {key: line[key] for key in SCORES}
        return None

    def say(self, text: str) -> None:
        """Print a line, above the bar where there is one."""
        if is_process_0():
            tqdm.write(text)
            sys.stdout.flush()

    def _write(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        line = {"kind": kind, "step": step, **values}
        self.lines.append(line)
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        self._file.flush()


def _import_tensorboard() -> ModuleType:
    """Import tensorboardX, which would import PyTorch where that is installed: 2 s more."""
    return import_without("torch", "tensorboardX")


def _begin_file(path: Path, step: int) -> list[dict[str, Any]]:
    """Cut the file off behind `step`, and return its lines."""
    lines = _read_lines(path, up_to=step)
    atomic_write(path, "".join(json.dumps(line) + "\n" for line in lines))
    return lines


def read_log(workdir: Path) -> list[dict[str, Any]]:
    """Return the lines of a workdir's metrics.jsonl that can be read; [] where there is none."""
    return [line for line in _parse_file(workdir / _FILE) if line is not None]


def _parse_file(path: Path) -> list[dict[str, Any] | None]:
    """Return the lines of a file, None for each that is damaged."""
    if not path.exists():
        return []
    # A run that is killed, or still on its way, may leave half a line at the end.
    *whole, _cut_short = path.read_text(errors="replace").split("\n")
    return [_parse(line) for line in whole]


def _read_lines(path: Path, up_to: int) -> list[dict[str, Any]]:
    lines = _parse_file(path)
    damaged = lines.count(None)
    if damaged:
        kept = path.with_name(f"{path.name}.damaged")
        shutil.copyfile(path, kept)
        print(
            f"warning: {damaged} line(s) of {path} cannot be read and are left out; the file as it "
            f"was is {kept}",
            file=sys.stderr,
        )
    return [line for line in lines if line is not None and line["step"] <= up_to]


def _parse(text: str) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) and _is_whole(line) else None


def _is_whole(line: dict[str, Any]) -> bool:
    """Say whether a line has what a resumed run, or its result, reads of it."""
    wanted = _WANTED.get(str(line.get("kind")))
    if wanted is None or type(line.get("step")) is not int:
        return False
    return has_numbers({"seconds": 0.0} | line, (*wanted, "seconds"))


def has_numbers(values: Any, names: Sequence[str]) -> bool:
    """Say whether `values`, as JSON had it, is an object with a finite number of each name."""
    if not isinstance(values, dict):
        return False
    numbers: list[Any] = [values.get(name) for name in names]
    return all(type(number) in (int, float) and math.isfinite(number) for number in numbers)
