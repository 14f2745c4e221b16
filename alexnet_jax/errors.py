"""The errors that a user can mend, and their exit code."""

import sys

USER_ERROR_EXIT_CODE = 2


class UserError(Exception):
    """Something the user gave, or the machine lacks; the message names the way out.

    Front doors print it as one line and exit with code 2. Everything else that is
    raised is a defect of ours and keeps its traceback.
    """


def complain(error: object) -> int:
    """Print an error as its one line, and return the exit code that goes with it."""
    print("error:", " ".join(str(error).split()), file=sys.stderr)
    return USER_ERROR_EXIT_CODE
