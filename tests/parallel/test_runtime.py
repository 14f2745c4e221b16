import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from alexnet_jax.parallel.mesh import make_data_mesh
from alexnet_jax.parallel.runtime import compile_and_tidy, compiler_options


def resident_megabytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    (resident,) = (line.split()[1] for line in lines if line.startswith("VmRSS:"))
    return int(resident) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="what Linux gives and takes back")
def test_memory_freed_while_compiling_goes_back_to_linux():
    lowered = jax.jit(lambda x: x + 1).lower(jnp.zeros(3))
    blocks = [bytes(1000) for _ in range(200_000)]
    last = blocks[-1]  # Freed memory below one that is in use stays with the process.
    del blocks
    before = resident_megabytes()
    compiled = compile_and_tidy(lowered)
    assert resident_megabytes() < before - 100
    assert compiled(jnp.zeros(3)).tolist() == [1, 1, 1]
    assert len(last) == 1000


@pytest.mark.parametrize("kind", ["TPU v5 lite", "TPU v6 lite", "NVIDIA H200"])
def test_operations_use_more_of_the_chips_memory_where_that_was_compared(kind):
    mesh = SimpleNamespace(devices=np.array([[SimpleNamespace(device_kind=kind)]]))
    limit = {"xla_tpu_scoped_vmem_limit_kib": 32 * 1024}
    assert compiler_options(mesh) == (limit if kind == "TPU v5 lite" else {})


def test_cpus_have_options_of_their_own():
    options = compiler_options(make_data_mesh(jax.devices("cpu")[:1]))
    assert "xla_cpu_scheduler_type" in options
    assert not any(name.startswith("xla_tpu") for name in options)
