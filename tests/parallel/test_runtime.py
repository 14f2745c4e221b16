import os
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from alexnet_jax.parallel.runtime import compile_and_tidy, configure_jax


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


def test_determinism_is_requested_from_xla_once(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=1")
    for _ in range(2):
        configure_jax(deterministic=True)
    assert os.environ["XLA_FLAGS"] == (
        "--xla_force_host_platform_device_count=1 --xla_gpu_deterministic_ops=true"
    )
