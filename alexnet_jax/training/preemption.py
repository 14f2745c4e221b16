"""Preemption: SIGTERM or Ctrl-C ends a run after the next step, with its state saved."""

import signal
from collections import deque
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Self, TypeVar

import jax

from alexnet_jax.parallel.multihost import max_over_processes
from alexnet_jax.system.signals import SAVED_EXIT_CODE, SIGNALS

_Item = TypeVar("_Item")


class Preempted(Exception):  # noqa: N818 It is not an error.
    """A signal stopped the run.

    Attributes:
        saved: whether the program saved new steps. A launcher repeats only such starts; otherwise
            it would repeat a run that makes no progress forever.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self._signal_number = signal_number
        self.saved = False

    @property
    def exit_code(self) -> int:
        """Exit code that tells a launcher whether to run the same command again."""
        return SAVED_EXIT_CODE if self.saved else 128 + self._signal_number

    def explain(self) -> str:
        """Return the line for the user."""
        what = "saved" if self.saved else "nothing new to save"
        return f"{self}; {what}. The same command resumes from here."


class PreemptionGuard:
    """Context that records SIGTERM and SIGINT; a second signal falls through to the old handler.

    In a cluster a signal to one process stops all of them at the same check. There only a second
    Ctrl-C acts at once: launchers resend SIGTERM and escalate to SIGKILL.

    Args:
        checks_ahead: number of checks after which the processes read each other's answers, so that
            none waits for the others. A single process reads its own at once.
    """

    def __init__(self, checks_ahead: int = 0) -> None:
        self._received: int | None = None
        self._previous = {number: signal.getsignal(number) for number in SIGNALS}
        self._ahead = checks_ahead
        self._answers: deque[jax.Array] = deque()

    def __enter__(self) -> Self:
        for number, handler in self._previous.items():
            # A shell makes its background jobs ignore Ctrl-C; they continue to.
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._remember)
        return self

    def __exit__(self, *error: object) -> None:
        self._restore(SIGNALS)

    @property
    def received(self) -> bool:
        """Whether this process received a signal."""
        return self._received is not None

    def raise_if_preempted(self) -> None:
        """Raise Preempted after a signal to any process; all must call this equally often."""
        number = self._received
        if _in_cluster():
            self._answers.append(max_over_processes(number or 0))
            number = int(self._answers.popleft()) if len(self._answers) > self._ahead else 0
        if number:
            raise Preempted(number)

    def interrupt(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """Yield `items`; raise Preempted between two of them after a signal."""
        for item in items:
            self.raise_if_preempted()
            yield item

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._received = number
        self._restore((signal.SIGINT,) if _in_cluster() else SIGNALS)

    def _restore(self, numbers: Iterable[signal.Signals]) -> None:
        for number in numbers:
            signal.signal(number, self._previous[number])


def _in_cluster() -> bool:
    # Not jax.process_count(), which would take the devices: a sweep leaves them to its trials.
    return jax.distributed.is_initialized()
