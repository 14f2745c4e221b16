"""Disks that fail, for a process under test: a library in C, compiled once, that is preloaded."""

import errno
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest


def faulty(call, path, code, *, first=1, count=0, log=None):
    """Return environment variables under which a process meets a broken disk.

    Args:
        call: "open", "read", "write", "rename", "fsync", "mkdir" or "unlink".
        path: a part of the path that the call must be for.
        code: the errno's name, "EIO".
        first: the first of the matching calls that fails, counted from 1.
        count: how many fail; 0: all from then on.
        log: a file that receives a line for each call that failed.
    """
    variables = {
        "LD_PRELOAD": str(_library()),
        "FAULT_CALL": call,
        "FAULT_PATH": path,
        "FAULT_ERRNO": str(getattr(errno, code)),
        "FAULT_FROM": str(first),
        "FAULT_COUNT": str(count),
    }
    return variables if log is None else variables | {"FAULT_LOG": str(log)}


@cache
def _library():
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (gcc) to build tests/faults/shim.c with")
    # Kept for the whole session: preloaded by processes that start late.
    folder = Path(tempfile.mkdtemp(prefix="alexnet_jax_faults_"))
    library = folder / f"shim-{os.getpid()}.so"
    source = Path(__file__).with_name("shim.c")
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-o", library, source, "-ldl"]
    subprocess.run(command, check=True)
    return library
