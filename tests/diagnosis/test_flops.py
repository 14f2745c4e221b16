import pytest
from jax import lax

from alexnet_jax.diagnosis.flops import matrix_product_ceiling, training_flops
from alexnet_jax.layer_table import describe_layers
from alexnet_jax.models import create_model
from alexnet_jax.parallel.mesh import make_data_mesh


def test_training_counts_each_multiply_add_twice_in_each_of_three_passes():
    """But the gradient of the images, which no update needs."""
    rows = describe_layers(create_model("original"), 224)
    assert training_flops(rows) == 6 * 724_406_816 - 2 * 55 * 55 * 96 * 11 * 11 * 3


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_machine_multiplies_matrices_on_all_its_devices(dtype):
    assert matrix_product_ceiling(make_data_mesh(), dtype, lax.Precision.HIGHEST, seconds=0.1) > 1e8
