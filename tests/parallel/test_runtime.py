import subprocess
import sys

PROGRAM = """
import resource
import jax, jax.numpy as jnp
from alexnet_jax.parallel.runtime import configure_jax
configure_jax()
double = jax.jit(lambda x: 2 * x)
x = jnp.ones(1 << 24)
faults = []
for _ in range(6):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    double(x).block_until_ready()
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(min(faults[2:]))
"""


def test_the_system_does_not_clear_the_memory_of_each_step_anew():
    """64 MiB are 16,384 pages."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 1000
