"""The errors that end a command with one line, and their exit codes."""

import errno
import os
import sys

# What the caller of a path can mend: it names nothing, names something else, or is closed to us.
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
    """Something the user gave, or the machine lacks; the message names the way out.

    Front doors print it as one line and exit with `exit_code`. Everything else that is raised is a
    defect of ours and keeps its traceback.
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
    """Return the one line for what the system refused: the path and the cause.

    Args:
        error: as Python or a library raised it.
        place: stands for the path where `error` names none: writing to an open file does not.
    """
    paths = [name for name in (error.filename, error.filename2) if name is not None] or [place]
    where = " -> ".join(
        os.fsdecode(path) for path in paths if isinstance(path, str | bytes | os.PathLike)
    )
    cause = os.strerror(error.errno) if error.errno else str(error)
    kind = UserError if error.errno in _MISTAKES else MachineError
    return kind(f"{where}: {cause}" if where else cause)


def printable(text: object) -> str:
    r"""Return text with all that could steer a terminal escaped: "\x1b[2J" becomes "\\x1b[2J".

    For names that come from files: of classes, of images, of tensors.
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in str(text)
    )
