"""Run one contestant: for each line of input, take batches for a while and print images a second.

python -m benchmarks.contestants NAME FOLDER SECONDS
"""

import importlib
import sys
import time
from pathlib import Path

from benchmarks.contestants import CONTESTANTS

_WARM_UP = 8  # Batches, more than any contestant keeps ready from before.


def main() -> None:
    """Answer each line of standard input with a rate."""
    name, folder, seconds = sys.argv[1:]
    module, function = CONTESTANTS[name]
    contestant = getattr(importlib.import_module(f"benchmarks.contestants.{module}"), function)
    batches = contestant(Path(folder))
    for _ in sys.stdin:
        for _ in range(_WARM_UP):
            next(batches)
        images, begin = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - begin) < float(seconds):
            images += next(batches)
        print(images / elapsed, flush=True)


if __name__ == "__main__":
    main()
