"""Everything that changes the whole process.

The front doors call these functions; importing the package changes nothing.
"""

import gc
import importlib
import logging
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import CoroutineType, ModuleType

_TUNABLES = "GLIBC_TUNABLES"
_MODE = Path("/sys/kernel/mm/transparent_hugepage/enabled")
# Python's own is 700. Nearly everything that a start allocates stays: scanning it again and again
# takes half a second.
_OBJECTS_BETWEEN_COLLECTIONS = 20_000


def restart_with_huge_pages() -> None:
    """Restart this program so that glibc asks Linux for huge pages, unless it already does.

    A step on CPUs allocates its memory from Linux and frees it again, and Linux clears it page by
    page. With pages of 2 MiB instead of 4 KiB a step of `original`, batch 32, takes a seventh less
    time. Does nothing where Linux always or never gives huge pages, or where the user has set
    GLIBC_TUNABLES.
    """
    if _TUNABLES in os.environ or not _MODE.is_file() or "[madvise]" not in _MODE.read_text():
        return
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # None where it was closed from the start.
            stream.flush()
    with suppress(OSError):  # It is slower without them, but no reason to stop.
        os.execve(sys.executable, sys.orig_argv, os.environ | {_TUNABLES: "glibc.malloc.hugetlb=1"})


def collect_garbage_rarely() -> None:
    """Raise the number of allocations between garbage collections."""
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)


def silence_orbax() -> None:
    """Hide what Orbax's and TensorStore's threads print beside the error that they raise.

    The arrays of a checkpoint are read and written in parallel. When one fails, its error is raised
    and reported; the errors of the others would follow as hundreds of lines from abandoned tasks,
    coroutines and threads. Everything else is still printed.
    """
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # Only Orbax uses it here.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    sys.unraisablehook = _unraisable
    threading.excepthook = _in_thread


def import_without(hidden: str, name: str) -> ModuleType:
    """Import a module as if another one, `hidden`, were not installed.

    For libraries that import a large one only to see whether it is there. A module that is already
    imported is not hidden.
    """
    hide = hidden not in sys.modules
    if hide:
        sys.modules[hidden] = None  # type: ignore[assignment]
    try:
        return importlib.import_module(name)
    finally:
        if hide:
            del sys.modules[hidden]


def _unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    source = unraisable.object
    if isinstance(source, CoroutineType) and "orbax" in source.cr_code.co_filename:
        return
    # A read that TensorStore finished in its own thread, for an event loop that had given up.
    if source is None and str(unraisable.exc_value) == "Event loop is closed":
        return
    sys.__unraisablehook__(unraisable)


def _in_thread(arguments: threading.ExceptHookArgs) -> None:
    if not type(arguments.thread).__module__.startswith("orbax"):
        threading.__excepthook__(arguments)
