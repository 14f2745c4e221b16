"""Failures of Python files that users write: configs and sweeps."""

import traceback


def describe_failure(error: BaseException) -> str:
    """Say in one line what went wrong, and where."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__}: {error}"
    # A SyntaxError names the place itself.
    where = "" if isinstance(error, SyntaxError) else f" ({frame.filename}, line {frame.lineno})"
    return f"cannot be loaded: {what}{where}"
