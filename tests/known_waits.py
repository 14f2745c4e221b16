"""A step and a source of known length, and the truth about the devices' idle time."""

import threading
import time

import jax
import jax.numpy as jnp
import numpy as np

# (seconds of a step, seconds from batch to batch, share of the time that the devices idle)
WAITS = [(0.1, 0.105, 0.05), (0.08, 0.1, 0.2), (0.025, 0.25, 0.9)]


class TimedStep:
    """A step that lasts as long as it is told, and stamps when each was started and ended.

    JAX runs a callback at once, while its caller waits, unless it needs a value that is not there
    yet; so a short product comes first.
    """

    def __init__(self, seconds):
        self._seconds = seconds
        self._started, self._ended = [], []
        self._multiply, self._sleep = jax.jit(_multiply), jax.jit(self._call_back)
        self._number = jnp.float32(0)
        self(None, None)
        jax.block_until_ready(self._number)
        self._started.clear()
        self._ended.clear()

    def __call__(self, state, batch):
        self._started.append(time.perf_counter())
        self._number = self._sleep(self._multiply(self._number))
        return state, {
            "loss": self._number,
            "top1_error": self._number,
            "learning_rate": self._number,
        }

    def idle_fraction(self):
        """Return the share of the time, to the end of the last step, between two steps."""
        jax.block_until_ready(self._number)
        gaps = np.subtract(self._started[1:], self._ended[:-1])
        return np.maximum(gaps, 0).sum() / (self._ended[-1] - self._started[0])

    def _call_back(self, number):
        return jax.pure_callback(self._finish, jax.ShapeDtypeStruct((), jnp.float32), number)

    def _finish(self, number):
        start = max(self._started[len(self._ended)], *self._ended[-1:], 0.0)
        time.sleep(max(0.0, start + self._seconds - time.perf_counter()))
        self._ended.append(time.perf_counter())
        return np.float32(number)


def _multiply(number):
    matrix = jnp.full((256, 256), number)
    return jax.lax.fori_loop(0, 8, lambda _, product: jnp.sin(product @ matrix), matrix)[0, 0]


def periodic(seconds, count):
    """Yield batches that come every `seconds`, whether or not they are asked for."""
    start = time.perf_counter()
    for number in range(count):
        time.sleep(max(0.0, start + number * seconds - time.perf_counter()))
        yield {"label": number}


class SlowPixels:
    """Images that come one batch every `seconds`, however many threads read."""

    num_classes, image_size = 10, 8

    def __init__(self, seconds):
        self._seconds = seconds
        self._lock = threading.Lock()

    def __len__(self):
        return 1000

    def read_into(self, indices, images, labels):
        with self._lock:
            time.sleep(self._seconds)
