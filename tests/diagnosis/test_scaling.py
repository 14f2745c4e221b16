import pytest
from short_run import short_config

from alexnet_jax.diagnosis.scaling import candidates, estimate_communication, format_estimates
from alexnet_jax.errors import UserError

pytestmark = pytest.mark.slow

PARAMETERS = 204_858  # Of `tiny` without groups and ten classes.


@pytest.fixture(scope="module")
def config():
    config = short_config("unused")
    config.model.modifications = ("no_groups",)
    return config


@pytest.fixture(scope="module")
def found(config):
    return {row.layout: row for row in estimate_communication(config, devices=16, per_machine=16)}


def test_data_keeps_everything_and_sends_every_gradient(found):
    counters = 6  # Of steps and tests.
    assert found["data"].bytes_kept == 4 * (2 * PARAMETERS + counters)
    loss_and_error = 2
    assert found["data"].bytes_sent == {
        "all-reduce": 2 * 4 * (PARAMETERS + loss_and_error) * 15 / 16
    }


def test_hybrid_sends_less_with_two_images_on_a_device(found):
    assert found["hybrid"].total_sent < found["data"].total_sent


def test_a_layout_that_cannot_be_says_why(found, config):
    assert "no convolution of this one has groups" in found["columns"].problem
    assert "columns 2    layout 'columns' puts" in format_estimates(
        list(found.values()), config, devices=16, link_gbps=100.0
    )


def test_the_time_is_bytes_over_speed(found, config):
    line = format_estimates([found["data"]], config, 16, link_gbps=0.001).splitlines()[-1]
    milliseconds = found["data"].total_sent * 8 / 1e6 * 1e3
    assert line.endswith(f"{milliseconds:.2f} ms")


def test_a_batch_that_does_not_divide_over_the_devices_is_refused(config):
    with pytest.raises(UserError, match="batch_size=32 does not divide over 64 devices; 64 would"):
        estimate_communication(config, devices=64, per_machine=8)


def test_the_layout_of_the_config_is_among_those_compared(config):
    config = config.copy_and_resolve_references()
    config.parallel.update(layout="fsdp", model_axis=4)
    assert candidates(config, devices=16, per_machine=8) == [
        ("data", None),
        ("hybrid", 16),
        ("hybrid", 8),
        ("columns", 2),
        ("fsdp", 16),
        ("fsdp", 4),
    ]
