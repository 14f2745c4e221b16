"""Checks of paths: no URLs, and only UTF-8 where C++ libraries write."""

from pathlib import Path

from alexnet_jax.errors import UserError


def check_local(name: str, path: str) -> None:
    """Raise UserError if `path`, the value of `name`, is a URL: Python would make a folder."""
    if "://" not in path:
        return
    way_out = (
        "give the path without file://"
        if path.startswith("file://")
        else "mount it (gcsfuse, mount-s3, NFS) and give that path, or copy it to a local disk"
    )
    raise UserError(f"{name}={path} is a URL, but only a mounted file system works here; {way_out}")


def check_folder(name: str, path: str) -> None:
    """Raise UserError if a folder, the value of `name`, cannot hold checkpoints or records.

    The C++ libraries that write them accept only paths in UTF-8; Linux accepts any bytes.
    """
    check_local(name, path)
    try:
        str(Path(path).absolute()).encode()
    except UnicodeEncodeError:
        raise UserError(
            f"{name}={path} is not UTF-8 ({Path(path).absolute()}), but checkpoints and records "
            "can only be written to such paths; rename the folder"
        ) from None
