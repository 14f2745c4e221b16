"""Errors that end a command with one line, and their exit codes."""

import errno
import os
import sys
import traceback

# The caller can correct these: the path names nothing, something else, or is not accessible.
_MISTAKES = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.EACCES,
    errno.EPERM,
    errno.ENAMETOOLONG,
    errno.ELOOP,
)


class UserError(Exception):
    """A mistake in what the user gave; the message says how to fix it.

    Commands print it as one line and exit with `exit_code`. Other exceptions keep their traceback.
    """

    exit_code = 2


class MachineError(UserError):
    """A disk, a port or another process failed; trying again may help."""

    exit_code = 3


def print_error(error: object) -> int:
    """Print an error as one line, and return its exit code."""
    if isinstance(error, OSError):
        error = explain_os_error(error)
    print("error:", printable(" ".join(str(error).split())), file=sys.stderr)
    return error.exit_code if isinstance(error, UserError) else UserError.exit_code


def explain_os_error(error: OSError, place: str | os.PathLike[str] | None = None) -> UserError:
    """Return the error with the path and the cause.

    Args:
        error: Error as Python or a library raised it.
        place: Path to report if `error` has none, as when writing to an open file.
    """
    paths = [name for name in (error.filename, error.filename2) if name is not None] or [place]
    where = " -> ".join(
        os.fsdecode(path) for path in paths if isinstance(path, str | bytes | os.PathLike)
    )
    cause = os.strerror(error.errno) if error.errno else str(error)
    kind = UserError if error.errno in _MISTAKES else MachineError
    return kind(f"{where}: {cause}" if where else cause)


def describe_failure(error: BaseException) -> str:
    """Return one line on what went wrong in a user's Python file, and where."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__}: {error}"
    # A SyntaxError names the place itself.
    where = "" if isinstance(error, SyntaxError) else f" ({frame.filename}, line {frame.lineno})"
    return f"cannot be loaded: {what}{where}"


def printable(text: object) -> str:
    r"""Escape terminal control characters in names from files: "\x1b[2J" becomes "\\x1b[2J"."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in str(text)
    )
