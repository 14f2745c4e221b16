"""Stopping when asked: SIGTERM and Ctrl-C end the run at the next step, with everything saved."""

import signal
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import Self, TypeVar

_Item = TypeVar("_Item")


class Interrupted(Exception):  # noqa: N818 It is no error.
    """The run was asked to stop, and has been saved."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.exit_code = 128 + signal_number


class StopSignal:
    """Remembers a SIGTERM or SIGINT, as a context; a second one acts as if nobody listened."""

    def __init__(self) -> None:
        self._received: int | None = None
        self._previous = {number: signal.getsignal(number) for number in _SIGNALS}

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
        self._restore()

    @property
    def received(self) -> bool:
        """Whether somebody asked."""
        return self._received is not None

    def raise_if_received(self) -> None:
        """Raise Interrupted if somebody asked."""
        if self._received is not None:
            raise Interrupted(self._received)

    def interrupt(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """Yield `items`; raise Interrupted between two of them if somebody asked."""
        for item in items:
            self.raise_if_received()
            yield item

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._received = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)


_SIGNALS = (signal.SIGTERM, signal.SIGINT)
