"""alexnet_jax.main for a trial: it ends when the sweep that started it does.

The sweep holds the other end of this process's standard input. However the sweep ends, kill -9
included, the system closes that end, and a trial left alone would only be in the way of the next.
"""

import os
import runpy
import signal
import sys
import threading


def _end_with_the_sweep() -> None:
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_sweep, daemon=True).start()
    runpy.run_module("alexnet_jax.main", run_name="__main__", alter_sys=True)
