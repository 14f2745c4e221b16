import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from alexnet_jax.errors import UserError
from alexnet_jax.models import create_model, find_spec
from alexnet_jax.models.modifications import apply_modifications
from alexnet_jax.parallel.mesh import LAYOUTS, make_mesh
from alexnet_jax.parallel.sharding_rules import check_layout, infer_sharding, parameter_spec
from alexnet_jax.runs.checkpoints import Checkpoints
from alexnet_jax.training.optimizer import krizhevsky_sgd
from alexnet_jax.training.state import abstract_state, create_state

pytestmark = pytest.mark.slow

ORIGINAL = find_spec("original")


@pytest.fixture(scope="module")
def states():
    """By layout, the same state on four devices, as it lies in that layout."""
    model, optimizer = create_model("tiny", num_classes=4), krizhevsky_sgd(0.01, 0.9, 0.0005, 2.0)
    described = abstract_state(model, optimizer, 80, make_mesh())
    drawn = create_state(model, optimizer, 80, 3, make_mesh(), described)
    meshes = {layout: make_mesh(layout, 2 if layout == "hybrid" else None) for layout in LAYOUTS}
    return {
        layout: jax.device_put(drawn, infer_sharding(mesh, model.spec, drawn))
        for layout, mesh in meshes.items()
    }


@pytest.mark.parametrize(
    ("saved", "restored"),
    [("data", "hybrid"), ("hybrid", "columns"), ("columns", "fsdp"), ("fsdp", "data")],
)
def test_a_checkpoint_continues_in_another_layout(states, tmp_path, saved, restored):
    description = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding),
        states[restored],
    )
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(states[saved])
    state = checkpoints.restore(description)
    checkpoints.close()
    for found, expected in zip(*map(jax.tree.leaves, (state, states[restored])), strict=True):
        np.testing.assert_array_equal(found, expected)
        assert found.sharding == expected.sharding


@pytest.mark.parametrize(
    ("layout", "path", "shape", "expected"),
    [
        ("data", "params/fc6/kernel", (9216, 4096), P()),
        ("hybrid", "params/conv2/kernel", (5, 5, 48, 256), P()),
        ("hybrid", "params/fc6/kernel", (9216, 4096), P(None, "model")),
        ("hybrid", "opt_state/2/trace/fc6/kernel", (9216, 4096), P(None, "model")),
        ("hybrid", "params/fc7/bias", (4096,), P("model")),
        ("hybrid", "params/fc8/kernel", (4096, 1000), P("model")),
        ("hybrid", "params/fc8/bias", (1000,), P()),
        ("columns", "params/conv2/kernel", (5, 5, 48, 256), P(None, None, None, "column")),
        ("columns", "params/conv2/bias", (256,), P("column")),
        ("fsdp", "params/conv2/kernel", (5, 5, 48, 256), P(None, None, None, "shard")),
        ("fsdp", "params/fc6/kernel", (9216, 4096), P("shard")),
        ("fsdp", "params/fc6/kernel", (9217, 4096), P(None, "shard")),
        ("fsdp", "params/fc6/kernel", (3, 5), P()),
        ("fsdp", "params/fc6/bias", (4096,), P()),
        ("fsdp", "plateau/step", (), P()),
    ],
)
def test_where_a_parameter_lies(layout, path, shape, expected):
    assert parameter_spec(make_mesh(layout), ORIGINAL, path, shape) == expected


def test_columns_need_a_network_with_groups():
    with pytest.raises(UserError, match=r"no convolution of this one has groups.*'original'"):
        check_layout(make_mesh("columns"), find_spec("single_tower"))


def test_more_devices_than_columns_are_refused():
    with pytest.raises(UserError, match="the 2 groups of this network over 4 devices.*axis=2"):
        check_layout(make_mesh("columns", 4), ORIGINAL)


def test_units_that_do_not_divide_are_refused():
    mesh = make_mesh("hybrid", devices=jax.devices()[:3])
    with pytest.raises(UserError, match="fc6 has 4096 units, which layout 'hybrid'.*3 devices"):
        check_layout(mesh, ORIGINAL)


def test_hybrid_refuses_units_in_groups():
    with pytest.raises(UserError, match="in 2 groups: use layout 'columns'"):
        check_layout(make_mesh("hybrid"), apply_modifications(ORIGINAL, ["separate_columns"]))


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_every_layout_takes_the_network_of_2012(layout):
    check_layout(make_mesh(layout), ORIGINAL)
