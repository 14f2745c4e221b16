"""Locks on a folder, their owners, and a file system without locks."""

import errno
import json
import os
from dataclasses import replace

from alexnet_jax.system.folder_lock import FolderLock
from alexnet_jax.system.lock_owner import Owner


def no_flock(descriptor, operation):
    """What flock does where a file system has no locks."""
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def make(folder, **options):
    return FolderLock(folder / "run.lock", "another run is training in x", "wait", **options)


def elsewhere():
    """A process of another host."""
    return replace(Owner.this_process(), host="elsewhere", pid=4711, machine="another kernel")


def leave(folder, host, pid=4711):
    """What a run of an older version that was killed leaves behind."""
    (folder / "run.lock").write_text(json.dumps({"host": host, "pid": pid, "started": 1.0}))
