import jax
import jax.numpy as jnp
import numpy as np
import pytest

from alexnet_jax.errors import UserError
from alexnet_jax.models import find_spec
from alexnet_jax.models.modifications import apply_modifications
from alexnet_jax.parallel.mesh import make_data_mesh, make_mesh, to_devices
from alexnet_jax.training.accumulation import accumulate_gradients, count_microbatches

TINY = find_spec("tiny")


def test_microbatches_make_a_batch():
    assert count_microbatches(128, 32, devices=8, spec=TINY) == 4
    assert count_microbatches(128, None, devices=8, spec=TINY) == 1


def test_a_microbatch_that_does_not_divide_the_batch_names_those_that_do():
    with pytest.raises(
        UserError, match=r"=48 does not divide .*batch_size=128; .* 16, 32, 64, 128"
    ):
        count_microbatches(128, 48, devices=16, spec=TINY)


def test_a_microbatch_that_does_not_divide_over_the_devices_is_refused():
    with pytest.raises(UserError, match="microbatch_size=12 does not divide over 8 devices"):
        count_microbatches(96, 12, devices=8, spec=TINY)


def test_batch_normalisation_takes_no_microbatches():
    with pytest.raises(UserError, match="statistics over all 96 images of a batch at once"):
        count_microbatches(96, 48, 8, apply_modifications(TINY, ["batch_norm"]))


@pytest.mark.parametrize("mesh", [make_data_mesh(), make_mesh("columns")], ids=["data", "columns"])
def test_every_row_counts_once(mesh):
    rows = to_devices({"x": np.arange(16.0)}, mesh)["x"]
    mean = jax.jit(lambda x: accumulate_gradients(jnp.mean, (x,), 2, mesh))(rows)
    assert float(mean) == 7.5


def test_each_part_has_rows_of_every_device():
    mesh = make_data_mesh()
    seen = []
    rows = to_devices({"x": np.arange(16)}, mesh)["x"]

    def see(x):
        jax.debug.callback(lambda part: seen.append(part.tolist()), x)
        return jnp.zeros(())

    jax.block_until_ready(jax.jit(lambda x: accumulate_gradients(see, (x,), 2, mesh))(rows))
    jax.effects_barrier()
    assert sorted(seen) == [[0, 1, 4, 5, 8, 9, 12, 13], [2, 3, 6, 7, 10, 11, 14, 15]]
