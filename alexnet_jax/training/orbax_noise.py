"""Silence for what Orbax's and TensorStore's threads print beside the error that they raise."""

import logging
import sys
import threading
from types import CoroutineType


def silence_orbax() -> None:
    """Leave one failed read or write of a checkpoint one message: ours.

    The arrays of a checkpoint are read and written in parallel. When one fails, its error is
    raised, and that is the one reported; those of the others come out as hundreds of lines from
    abandoned tasks, coroutines and threads, after the fact. Everything else is printed as always.
    """
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # Nothing here uses it but Orbax.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    sys.unraisablehook = _unraisable
    threading.excepthook = _in_thread


def _unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    source = unraisable.object
    if isinstance(source, CoroutineType) and "orbax" in source.cr_code.co_filename:
        return
    # A read that TensorStore finished in a thread of its own, for an event loop that gave up.
    if source is None and str(unraisable.exc_value) == "Event loop is closed":
        return
    sys.__unraisablehook__(unraisable)


def _in_thread(arguments: threading.ExceptHookArgs) -> None:
    if not type(arguments.thread).__module__.startswith("orbax"):
        threading.__excepthook__(arguments)
