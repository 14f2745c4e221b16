"""Steps and sources of known length, on a clock that no other work on this machine can disturb."""

import threading
import time

import numpy as np


class Clock:
    """A `time.perf_counter` for each thread, which goes on only while that thread waits."""

    def __init__(self):
        self._of_thread = threading.local()

    def perf_counter(self):
        return getattr(self._of_thread, "now", 0.0)

    def wait_until(self, moment):
        self._of_thread.now = max(moment, self.perf_counter())


class Later:
    """A number on a device that is there from `moment` on."""

    def __init__(self, clock, moment):
        self._clock, self._moment = clock, moment

    def block_until_ready(self):
        self._clock.wait_until(self._moment)
        return self

    def __array__(self, dtype=None, copy=None):
        self.block_until_ready()
        return np.array(0.0, dtype)


class TimedStep:
    """A step that lasts `seconds`, begun when it is called or when the step before it has ended."""

    def __init__(self, clock, seconds):
        self._clock, self._seconds = clock, seconds
        self._end = 0.0

    def __call__(self, state, batch):
        self._end = max(self._clock.perf_counter(), self._end) + self._seconds
        names = ("loss", "top1_error", "learning_rate")
        return state, dict.fromkeys(names, Later(self._clock, self._end))


def periodic(clock, seconds, count):
    """Yield batches that come every `seconds`, whether or not they are asked for."""
    for number in range(count):
        clock.wait_until(number * seconds)
        yield {"label": number}


class SlowPixels:
    """Images that come one batch every `seconds`, of real time, however many threads read."""

    num_classes, image_size = 10, 8

    def __init__(self, seconds):
        self._seconds = seconds
        self._lock = threading.Lock()

    def __len__(self):
        return 1000

    def read_into(self, indices, images, labels):
        with self._lock:
            time.sleep(self._seconds)
