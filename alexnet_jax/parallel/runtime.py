"""JAX itself: settings made before the first computation, programs compiled and waited for."""

import ctypes
import os
import sys
from pathlib import Path
from typing import TypeVar

import jax
from jax.sharding import Mesh

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


def compiler_options(mesh: Mesh) -> dict[str, bool | str | int]:
    """Return XLA's options for the programs that make a state: its first one and the next.

    On CPUs XLA copies the dense layers' kernels before it updates them in place, 244 MB a step,
    unless it looks for the order in which they are read, and it starts work early at the price of
    memory: for `original`, batch 32, a step took 699 MB next to the state instead of 488, and
    drawing the parameters 640 instead of 151. LLVM's optimization above its first level takes a
    third of the compilation and gains nothing: a step of `owt` took 804 ms without it and 799 with
    it, of `single_tower` 1229 and 1309.
    """
    if mesh.devices.flat[0].platform != "cpu":
        return {}
    return {
        "xla_cpu_copy_insertion_use_region_analysis": True,
        "xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED",
        "xla_backend_optimization_level": 1,
    }


def compile_and_tidy(lowered: jax.stages.Lowered) -> jax.stages.Compiled:
    """Compile a program, and give Linux back the memory that compiling took.

    glibc keeps what LLVM has freed, and the program's own memory would come on top of it: 250 MB,
    compiling a step of `original`. Looking for it takes 50 ms.
    """
    compiled = lowered.compile()
    if sys.platform == "linux":
        give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)  # Other C libraries lack it.
        if give_back is not None:
            give_back(0)
    return compiled


def wait_on_cpus(result: _T) -> _T:
    """Return `result`, computed where several CPU devices share this process.

    They share its threads too: a program that waits in a collective for a device that finds no
    thread, because the next program has them, would wait forever. Elsewhere nothing is waited for.
    """
    if jax.default_backend() == "cpu" and jax.local_device_count() > 1:
        return jax.block_until_ready(result)
    return result
