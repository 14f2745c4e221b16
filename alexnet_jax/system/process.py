"""Changes to the whole process: commands make them, or what a caller asks for needs them."""

import gc
import importlib
import logging
import os
import resource
import sys
import threading
import warnings
from contextlib import suppress
from pathlib import Path
from types import CoroutineType, ModuleType

_TUNABLES = "GLIBC_TUNABLES"
_MODE = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def restart_with_huge_pages() -> None:
    """Restart this program so that glibc requests huge pages, which make steps on CPUs faster.

    It has no effect if Linux always or never gives huge pages, or if the user has set
    GLIBC_TUNABLES (docs/speed.md).
    """
    if _TUNABLES in os.environ or not _MODE.is_file() or "[madvise]" not in _MODE.read_text():
        return
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # None: it was closed from the start.
            stream.flush()
    with suppress(OSError):  # It is slower without them, but no reason to stop.
        os.execve(sys.executable, sys.orig_argv, os.environ | {_TUNABLES: "glibc.malloc.hugetlb=1"})


def collect_garbage_rarely() -> None:
    """Collect garbage less often than Python's default of every 700 objects.

    Nearly all objects of a start stay alive; scanning them takes half a second.
    """
    gc.set_threshold(20_000)


def silence_orbax() -> None:
    """Hide what threads of Orbax and TensorStore print beside the error that they raise.

    When one of many parallel reads or writes fails, its error is raised and reported; those of the
    abandoned tasks, coroutines and threads would follow as hundreds of lines.
    """
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # Only Orbax uses it here.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    sys.unraisablehook = _unraisable
    threading.excepthook = _in_thread


def silence_pillow() -> None:
    """Hide Pillow's warnings of odd files, which take several lines each.

    A file is read, or refused with an error of one line.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL + 1)


def allow_many_open_files() -> None:
    """Raise the soft limit on open files; ArrayRecord opens every shard, ImageNet has 1,088."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(65_536, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def add_xla_flag(flag: str) -> None:
    """Add a flag to those that XLA reads when it is first used, if it is not there yet."""
    flags = os.environ.get("XLA_FLAGS", "")
    if flag not in flags.split():
        os.environ["XLA_FLAGS"] = f"{flags} {flag}".strip()


def import_without(hidden: str, name: str) -> ModuleType:
    """Import a module as if another one, `hidden`, were not installed.

    Use it for libraries that import a large one only if it is there. A module that is already
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
    orbax = isinstance(source, CoroutineType) and "orbax" in source.cr_code.co_filename
    # A read that TensorStore finished in its own thread after the event loop had stopped.
    late = source is None and str(unraisable.exc_value) == "Event loop is closed"
    if not orbax and not late:
        sys.__unraisablehook__(unraisable)


def _in_thread(arguments: threading.ExceptHookArgs) -> None:
    if not type(arguments.thread).__module__.startswith("orbax"):
        threading.__excepthook__(arguments)
