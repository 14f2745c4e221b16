from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet_jax.errors import UserError
from alexnet_jax.models import MODELS, find_spec
from alexnet_jax.parallel.mesh import LAYOUTS, MODEL_AXIS, SHARD_AXIS
from alexnet_jax.parallel.sharding_rules import check_layout, divided_dimension


def mesh_of(axis, size):
    """What the rules read of a mesh; so many devices are not there."""
    shape = {"data": 1} | ({} if axis is None else {axis: size})
    return SimpleNamespace(axis_names=tuple(shape), shape=shape)


@given(st.sampled_from(sorted(MODELS)), st.sampled_from(sorted(LAYOUTS)), st.integers(1, 64))
def test_what_a_layout_divides_divides_or_the_network_is_refused(network, layout, size):
    spec, axis = find_spec(network), LAYOUTS[layout]
    mesh = mesh_of(axis, size)
    try:
        check_layout(mesh, spec)
    except UserError as refusal:
        assert str(size) in str(refusal)
        return
    for number, layer in enumerate(spec.convolutions, start=1):
        for kind, shape in (("kernel", (3, 3, 8, layer.features)), ("bias", (layer.features,))):
            dimension = divided_dimension(mesh, spec, f"conv{number}/{kind}", shape)
            assert dimension is None or shape[dimension] % size == 0
    for number, layer in enumerate(spec.dense, start=len(spec.convolutions) + 1):
        for kind, shape in (("kernel", (9, layer.features)), ("bias", (layer.features,))):
            dimension = divided_dimension(mesh, spec, f"fc{number}/{kind}", shape)
            assert dimension is None or shape[dimension] % size == 0
    # Without hidden units, the maps of the last convolution: 2x2 of four_layer's.
    inputs = spec.dense[-1].features if spec.dense else 4 * spec.convolutions[-1].features
    shape = (inputs, 1000)
    dimension = divided_dimension(mesh, spec, f"{spec.output_name}/kernel", shape)
    assert dimension is None or shape[dimension] % size == 0


@given(st.lists(st.integers(1, 100), min_size=1, max_size=4), st.integers(1, 16))
def test_sharding_takes_the_largest_dimension_that_divides(shape, size):
    mesh, spec = mesh_of(SHARD_AXIS, size), find_spec("original")
    dimension = divided_dimension(mesh, spec, "fc6/kernel", tuple(shape))
    fitting = [length for length in shape if length % size == 0]
    assert (None if dimension is None else shape[dimension]) == max(fitting, default=None)


def test_a_network_without_hidden_units_has_nothing_for_hybrid_to_divide():
    with pytest.raises(UserError, match="has none; use layout 'data' or 'fsdp'"):
        check_layout(mesh_of(MODEL_AXIS, 2), find_spec("four_layer"))


def test_a_divisor_too_large_is_refused():
    with pytest.raises(UserError, match="cannot divide"):
        check_layout(mesh_of(LAYOUTS["hybrid"], 3), find_spec("original"))
