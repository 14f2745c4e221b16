"""The errors that end a command with one line, and their exit codes."""

import sys


class UserError(Exception):
    """Something the user gave, or the machine lacks; the message names the way out.

    Front doors print it as one line and exit with `exit_code`. Everything else that is raised is a
    defect of ours and keeps its traceback.
    """

    exit_code = 2


class MachineError(UserError):
    """A disk, a port or another process failed; trying again may help."""

    exit_code = 3


def complain(error: object) -> int:
    """Print an error as its one line, and return the exit code that goes with it."""
    print("error:", " ".join(str(error).split()), file=sys.stderr)
    return error.exit_code if isinstance(error, UserError) else UserError.exit_code
