"""A map over threads that keeps the order and never runs far ahead of its reader."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from alexnet_jax.cores import usable_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

_LOOK_AHEAD_PER_THREAD = 4  # Enough to ride over one slow item, little enough to hold in memory.


def bounded_map(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None
) -> Iterator[Result]:
    """Yield `function(item)` for every item, in order, computed by a few threads.

    At most four items a thread are taken from `items` before their results are asked for, so
    memory stays bounded however long `items` is. Only the caller's thread touches `items`.

    Args:
        function: should release the GIL for most of its time, as the image decoders do.
        items: any iterable.
        threads: default: one for every processor this process may use.
    """
    threads = threads or usable_cores()
    remaining = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[Result]] = deque()
        try:
            for item in islice(remaining, threads * _LOOK_AHEAD_PER_THREAD):
                pending.append(pool.submit(function, item))
            while pending:
                result = pending.popleft().result()
                for item in islice(remaining, 1):
                    pending.append(pool.submit(function, item))
                yield result
        finally:
            # The reader stopped early, or an item failed: nobody wants the rest.
            pool.shutdown(wait=True, cancel_futures=True)
