"""What a run prints while it trains: lines, and a live display on a terminal."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Self

from alexnet_jax.evaluation.metrics import METRICS, format_metric, metric_title
from alexnet_jax.evaluation.views import VIEW_TITLES
from alexnet_jax.system.progress import Progress, clock, is_live, say


class RunDisplay:
    """The progress of a run from step `step` to `total`, for people: errors are in percent.

    `evaluations` are those of the center crop so far, as in metrics.jsonl.
    """

    def __init__(
        self, step: int, total: int, batch_size: int, evaluations: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        self._step, self._total, self._batch_size = step, total, batch_size
        self._bar = Progress("training", total, "steps", done=step, lines=False)
        # The lines of training steps are left out where the live display shows the numbers.
        self._prints_steps = not (is_live() and sys.stdout.isatty())
        self._training = self._saved = ""
        # Of each evaluation on the center crop: its error and step.
        self._errors: list[tuple[float, int]] = [
            (line["top1_error"], line["step"]) for line in evaluations
        ]

    def __enter__(self) -> Self:
        """Show the live display, whose clock starts now."""
        self._note()
        self._bar.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.__exit__()

    def advance(self, step: int) -> None:
        """Move the bar to `step` completed steps."""
        self._bar.advance(step - self._step)
        self._step = step

    def train(self, step: int, values: Mapping[str, float]) -> None:
        """Show the means of a window of training steps that ended with `step` completed."""
        self._training = (
            f"epoch {values['epoch']:.2f}  loss {values['loss']:.4f}  "
            f"training error {values['top1_error']:.2%}  "
            f"{values['images_per_second']:.0f} images/s  "
            f"rate {values['learning_rate']:.2e}  waiting {values['data_wait_fraction']:.1%}"
        )
        self._note()
        if self._prints_steps:
            images = (self._total - step) * self._batch_size
            left = clock(images / values["images_per_second"])
            say(f"step {step}/{self._total}  {self._training}  {left} left")

    def evaluation(self, step: int, views: str, scores: Mapping[str, float | int]) -> None:
        """Print the scores of an evaluation after `step` completed steps."""
        if views == "center":
            self._errors.append((scores["top1_error"], step))
        self._note()
        texts = [f"{metric_title(name)} {format_metric(name, scores[name])}" for name in METRICS]
        title = f"validation, {VIEW_TITLES[views]}"
        say(f"step {step}: {title}: {', '.join(texts)} on {scores['count']:,} images")

    def saved(self, step: int) -> None:
        """Show that the state after `step` steps is saved."""
        self._saved = f"saved at step {step:,}"
        self._note()

    def _note(self) -> None:
        results = [self._saved] if self._saved else []
        if self._errors:
            (last, at), (best, step) = self._errors[-1], min(self._errors)
            results = [
                f"validation error {last:.2%} at step {at:,}",
                f"best {best:.2%} at step {step:,}",
                *results,
            ]
        self._bar.notes = [line for line in (self._training, "  ".join(results)) if line]
