"""A parallel map that keeps the order and reads only a few items ahead."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from alexnet_jax.system.cores import usable_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

_LOOK_AHEAD_PER_THREAD = 4  # Hides one slow item, and bounds the memory.


def bounded_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int | None = None,
    look_ahead: int = _LOOK_AHEAD_PER_THREAD,
) -> Iterator[Result]:
    """Yield `function(item)` for every item, in order, computed by threads.

    Only the caller's thread reads `items`. The function should release the GIL for most of its
    time, as the image decoders do. Unset, `threads` are as many as the cores of this process.
    `look_ahead` is the number of items that are read ahead for each thread.
    """
    threads = threads or usable_cores()
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > threads * look_ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:  # The caller stopped early, or an item failed.
            pool.shutdown(wait=True, cancel_futures=True)
