"""The errors that a user can mend, and their exit code."""

USER_ERROR_EXIT_CODE = 2


class UserError(Exception):
    """Something the user gave, or the machine lacks; the message names the way out.

    Front doors print it as one line and exit with code 2. Everything else that is
    raised is a defect of ours and keeps its traceback.
    """


def disk_full_message(path: object, free_bytes: int, what: str) -> str:
    """Word the error for a disk that filled up while `what` was written to `path`."""
    return (
        f"disk full while writing {what}: {path} has {free_bytes / 1e6:,.1f} MB free; "
        "free some space or choose another disk, then run the same command again"
    )
