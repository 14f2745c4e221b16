"""Settings of JAX itself that every front door makes before the first computation."""

import os
from pathlib import Path
from typing import TypeVar

import jax

_T = TypeVar("_T")


def configure_jax(deterministic: bool = False) -> None:
    """Keep compiled programs between runs; on request, forbid sums in an order that varies.

    Args:
        deterministic: let GPUs use only operations that give the same bits each time. CPUs do
            anyway.
    """
    if deterministic:
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        caches = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        jax.config.update("jax_compilation_cache_dir", str(caches / "alexnet_jax" / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def wait_on_cpus(result: _T) -> _T:
    """Return `result`, computed where several CPU devices share this process.

    They share its threads too: a program that waits in a collective for a device that finds no
    thread, because the next program has them, would wait forever. Elsewhere nothing is waited for.
    """
    if jax.default_backend() == "cpu" and jax.local_device_count() > 1:
        return jax.block_until_ready(result)
    return result
