import json
import os
import subprocess
import sys

import pytest
from short_run import REPOSITORY, short_config

from alexnet_jax.diagnosis.scaling import candidates, estimate_communication, format_estimates
from alexnet_jax.errors import UserError

pytestmark = pytest.mark.slow

PARAMETERS = 204_858  # Of `tiny` without groups and ten classes.


@pytest.fixture(scope="module")
def found():
    """The rows of 16 devices by layout: in a process of its own, since it configures devices."""
    options = [
        "--config=configs/demo.py",
        "--config.model.modifications=('no_groups',)",
        "--config.train.batch_size=32",
        "--config.train.steps=6",
        "--config.schedule.name=constant",
    ]
    doctor = [sys.executable, "-m", "alexnet_jax.doctor", "--devices=16", "--json"]
    done = subprocess.run(
        [*doctor, "--devices_per_machine=16", *options],
        cwd=REPOSITORY,
        env=os.environ,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return {row["layout"]: row for row in json.loads(done.stdout)}


def total_sent(row):
    return sum(row["bytes_sent"].values())


def test_data_keeps_everything_and_sends_every_gradient(found):
    counters = 6  # Of steps and evaluations.
    assert found["data"]["bytes_kept"] == 4 * (2 * PARAMETERS + counters)
    loss_and_error = 2
    assert found["data"]["bytes_sent"] == {
        "all-reduce": 2 * 4 * (PARAMETERS + loss_and_error) * 15 / 16
    }


def test_hybrid_sends_less_with_two_images_on_a_device(found):
    assert total_sent(found["hybrid"]) < total_sent(found["data"])


def test_a_layout_that_cannot_be_says_why(found):
    assert "no convolution of this one has groups" in found["columns"]["problem"]
    table = format_estimates(list(found.values()), 32, devices=16, link_gbps=100.0)
    assert "columns 2    layout 'columns' puts" in table


def test_images_in_the_memories_of_the_devices_are_sent_too(found):
    slots, image_bytes = found["data"]["image_bytes_sent"] / 15, 96 * 96 * 3 + 4
    assert slots % image_bytes == 0
    assert 1 <= slots // image_bytes <= 2  # Of 2 images on each of 16 devices.
    line = format_estimates([found["data"]], 32, 16, link_gbps=100.0).splitlines()[1]
    assert f"{found['data']['image_bytes_sent'] / 1e6:.1f} MB" in line
    assert line.endswith(": data.")


def test_the_time_is_bytes_over_speed(found):
    line = format_estimates([found["data"]], 32, 16, link_gbps=0.001).splitlines()[-1]
    assert line.endswith(f"{total_sent(found['data']) * 8 / 1e6 * 1e3:.2f} ms")


def test_a_batch_that_does_not_divide_over_the_devices_is_refused():
    with pytest.raises(UserError, match="batch_size=32 does not divide over 64 devices; 64 would"):
        estimate_communication(short_config("unused"), devices=64, per_machine=8)


def test_the_layout_of_the_config_is_among_those_compared():
    assert candidates(("fsdp", 4), devices=16, per_machine=8) == [
        ("data", None),
        ("hybrid", 16),
        ("hybrid", 8),
        ("columns", 2),
        ("fsdp", 16),
        ("fsdp", 4),
    ]
