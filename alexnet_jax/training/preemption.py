"""Stopping when asked: SIGTERM and Ctrl-C end the run at the next step, with everything saved."""

import signal
from collections import deque
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import Self, TypeVar

import jax

from alexnet_jax.parallel.multihost import max_over_processes
from alexnet_jax.signals import SAVED_EXIT_CODE, SIGNALS

_Item = TypeVar("_Item")


class Preempted(Exception):  # noqa: N818 It is no error.
    """The run was asked to stop.

    Attributes:
        saved: whether something is saved now that was not when the program started. A start that
            only repeats what an earlier one did must not count as one, or it would be repeated for
            ever.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self._signal_number = signal_number
        self.saved = False

    @property
    def exit_code(self) -> int:
        """What tells a launcher whether to start the same command again."""
        return SAVED_EXIT_CODE if self.saved else 128 + self._signal_number

    def explain(self) -> str:
        """Return the line for the user."""
        what = "saved" if self.saved else "nothing new to save"
        return f"{self}; {what}. The same command goes on from here."


class PreemptionGuard:
    """Remembers a SIGTERM or SIGINT, as a context; a second one acts as if nobody listened.

    In a cluster a signal to any one process stops all of them at the same question. Only a second
    Ctrl-C acts at once there: launchers repeat SIGTERM, and have SIGKILL for who does not hear.

    Args:
        questions_ahead: how many questions later the processes look at each other's answers, so
            that none waits for them on its way. Alone, a question is answered at once.
    """

    def __init__(self, questions_ahead: int = 0) -> None:
        self._received: int | None = None
        self._previous = {number: signal.getsignal(number) for number in SIGNALS}
        self._ahead = questions_ahead
        self._answers: deque[jax.Array] = deque()

    def __enter__(self) -> Self:
        for number, handler in self._previous.items():
            # A shell lets its background jobs ignore Ctrl-C; that is to stay so.
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._remember)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore(SIGNALS)

    @property
    def received(self) -> bool:
        """Whether this process was asked."""
        return self._received is not None

    def raise_if_preempted(self) -> None:
        """Raise Preempted if somebody asked; every process must call this equally often."""
        number = self._received_anywhere() if _in_cluster() else self._received
        if number:
            raise Preempted(number)

    def interrupt(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """Yield `items`; raise Preempted between two of them if somebody asked."""
        for item in items:
            self.raise_if_preempted()
            yield item

    def _received_anywhere(self) -> int:
        self._answers.append(max_over_processes(self._received or 0))
        return int(self._answers.popleft()) if len(self._answers) > self._ahead else 0

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._received = number
        self._restore((signal.SIGINT,) if _in_cluster() else SIGNALS)

    def _restore(self, numbers: Iterable[signal.Signals]) -> None:
        for number in numbers:
            signal.signal(number, self._previous[number])


def _in_cluster() -> bool:
    # Not jax.process_count(), which would take the devices: a sweep leaves them to its trials.
    return jax.distributed.is_initialized()
