"""Telling a damaged checkpoint from one that cannot be had right now."""

import errno
import os
import re
from collections.abc import Iterator

# How TensorStore's messages name what the system said, and what the devices say of their memory.
_OS_ERROR = re.compile(r"os_error_code='(\d+)'")
_NO_MEMORY = "RESOURCE_EXHAUSTED"


def describe_trouble(error: BaseException) -> str | None:
    """Return, in words, what kept a file from being read; None if the file itself is at fault.

    A file that is not there is the checkpoint's fault. Any other answer of the system (an error of
    the disk, no permission, too many open files, a server that is gone) and a lack of memory say
    nothing about what the file holds.
    """
    for one in _chain(error):
        if isinstance(one, MemoryError) or _NO_MEMORY in str(one):
            return "not enough memory"
        code = _os_error(one)
        if code is not None and code != errno.ENOENT:
            return os.strerror(code)
    return None


def _os_error(error: BaseException) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = _OS_ERROR.search(str(error))
    return int(found[1]) if found else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it was raised from or holds: Orbax wraps what it meets."""
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [other for other in (one.__cause__, one.__context__) if other is not None]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
