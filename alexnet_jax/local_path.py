"""Files and folders must lie on a mounted file system; URLs are refused before anything is made."""

from alexnet_jax.errors import UserError


def check_local(name: str, path: str) -> None:
    """Raise UserError if `path`, given as `name`, is a URL.

    Python would take "gs://bucket/data" for a folder "gs:" below the current one.
    """
    if "://" not in path:
        return
    way_out = (
        "give the path without file://"
        if path.startswith("file://")
        else "mount it (gcsfuse, mount-s3, NFS) and give that path, or copy it to a local disk"
    )
    raise UserError(f"{name}={path} is a URL, but only a mounted file system works here; {way_out}")
