"""JAX's settings, and compilation."""

import ctypes
import os
import sys
from pathlib import Path
from typing import TypeVar

import jax
from jax.sharding import Mesh

from alexnet_jax.system.process import add_xla_flag

_T = TypeVar("_T")


def configure_jax(deterministic: bool = False) -> None:
    """Keep compiled programs between runs; on request, use deterministic operations on GPUs.

    Call it before the first computation. CPUs are always deterministic.
    """
    if deterministic:
        add_xla_flag("--xla_gpu_deterministic_ops=true")
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        caches = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        jax.config.update("jax_compilation_cache_dir", str(caches / "alexnet_jax" / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def compiler_options(mesh: Mesh) -> dict[str, bool | str | int]:
    """Return XLA's options for the programs that make a state: the first one and the next.

    On CPUs they keep XLA from copying the dense layers' kernels before their update in place, and
    from starting work early, which needs memory. LLVM's optimization above its first level costs
    a third of the compilation and gains nothing (docs/speed.md).
    """
    if mesh.devices.flat[0].platform != "cpu":
        return {}
    return {
        "xla_cpu_copy_insertion_use_region_analysis": True,
        "xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED",
        "xla_backend_optimization_level": 1,
    }


def compile_and_tidy(lowered: jax.stages.Lowered) -> jax.stages.Compiled:
    """Compile a program, and return the memory that LLVM freed to Linux: glibc would keep it."""
    compiled = lowered.compile()
    if sys.platform == "linux":
        give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)  # Other C libraries lack it.
        if give_back is not None:
            give_back(0)
    return compiled


def wait_on_cpus(result: _T) -> _T:
    """Return `result`, waiting for it if several CPU devices share this process.

    They share its threads too: a program that waits in a collective for a device whose thread the
    next program has taken would deadlock.
    """
    if jax.default_backend() == "cpu" and jax.local_device_count() > 1:
        return jax.block_until_ready(result)
    return result
