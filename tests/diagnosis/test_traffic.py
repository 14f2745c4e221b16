import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from alexnet_jax.diagnosis.traffic import Transfer, bytes_by_kind, read_transfers
from alexnet_jax.parallel.mesh import make_mesh


def program(*lines):
    return "\n".join(["ENTRY %main (x: f32[4]) -> f32[4] {", *lines, "}"])


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        ("all-reduce", 150),  # Three quarters of 100 bytes, out and back.
        ("all-gather", 75),
        ("reduce-scatter", 300),  # What it keeps is a quarter.
        ("all-to-all", 75),
        ("collective-permute", 100),
    ],
)
def test_what_a_device_sends_in_each_kind_of_collective(kind, sent):
    assert Transfer(kind, bytes_kept=100, devices=4, times=1).bytes_sent == sent


@pytest.mark.parametrize(
    ("groups", "devices"),
    [
        ("replica_groups={{0,4},{1,5},{2,6},{3,7}}", 2),
        ("replica_groups=[2,4]<=[8]", 4),
        ("replica_groups=[4,2]<=[2,4]T(1,0)", 2),
        ("replica_groups=mesh['axis_0'=2,'axis_1'=4] {'axis_1'}", 4),
        ("replica_groups=mesh['a'=2,'b'=4] {'a','b'}", 8),
        ("replica_groups=mesh['a'=8] {'a':(2)4}", 4),
        ("replica_groups={}", 8),
    ],
)
def test_every_notation_of_the_devices_that_talk_is_read(groups, devices):
    line = f"  %x = f32[2,3]{{1,0}} all-reduce(%y), channel_id=1, {groups}, to_apply=%add"
    text = "\n".join(["%add (a: f32[]) -> f32[] {", "}", program(line)])
    assert read_transfers(text, 8) == [Transfer("all-reduce", 24, devices, 1)]


def test_the_arrays_of_a_combined_collective_add_up():
    line = (
        "  %x = (bf16[2]{0}, /*index=1*/f32[3]{0}, pred[]) all-reduce(%y), "
        "replica_groups=[1,8]<=[8]"
    )
    assert read_transfers(program(line), 8) == [Transfer("all-reduce", 4 + 12 + 1, 8, 1)]


def test_a_device_that_talks_to_itself_sends_nothing():
    line = "  %x = f32[2]{0} all-reduce(%y), replica_groups={{0},{1}}"
    assert read_transfers(program(line), 2) == []


def test_an_asynchronous_collective_is_refused_not_overlooked():
    with pytest.raises(ValueError, match="asynchronous"):
        read_transfers(program("  %x = f32[2]{0} all-reduce-start(%y), replica_groups={}"), 2)


def test_a_collective_in_a_loop_of_unknown_length_is_refused_not_counted_once():
    body = "  %x = f32[2]{0} all-reduce(%y), replica_groups={}"
    text = "\n".join(
        [
            "%until (p: f32[2]) -> pred[] {\n}",
            f"%body (p: f32[2]) -> f32[2] {{\n{body}\n}}",
            program("  %w = f32[2]{0} while(%x), condition=%until, body=%body"),
        ]
    )
    with pytest.raises(ValueError, match="a loop of unknown length around a collective"):
        read_transfers(text, 2)


def test_collectives_in_a_loop_count_as_often_as_it_runs():
    mesh = make_mesh("data")
    everywhere, rows = NamedSharding(mesh, P()), NamedSharding(mesh, P("data"))

    def loop(x):
        def add(total, scale):
            return total + jax.lax.with_sharding_constraint(jnp.sum(x * scale, 0), everywhere), None

        return jax.lax.scan(add, jnp.zeros(5), jnp.arange(3.0))[0]

    x = jax.ShapeDtypeStruct((8, 5), jnp.float32, sharding=rows)
    text = jax.jit(loop, out_shardings=everywhere).lower(x).compile().as_text()
    (transfer,) = read_transfers(text, mesh.size)
    assert (transfer.kind, transfer.bytes_kept, transfer.times) == ("all-reduce", 20, 3)
    assert bytes_by_kind([transfer]) == {"all-reduce": 3 * 2 * 20 * 3 / 4}
