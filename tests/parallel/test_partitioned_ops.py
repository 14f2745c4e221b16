"""Every layout on eight devices against one device; eight_devices.py makes the runs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cluster_runs import QUICKLY_COMPILED
from short_run import REPOSITORY

from alexnet_jax.diagnosis.traffic import bytes_by_kind, read_transfers

pytestmark = pytest.mark.slow

PARAMETERS = 140_276  # Of `tiny` with four classes and crops of 56 pixels.


@pytest.fixture(scope="module")
def runs():
    script = Path(__file__).with_name("eight_devices.py")
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "XLA_FLAGS": QUICKLY_COMPILED}
    output = subprocess.run(
        [sys.executable, str(script)], env=environment, stdout=subprocess.PIPE, check=True
    )
    return json.loads(output.stdout)


def layers_that_talk(program, kinds):
    """Names of the layers whose collectives are of one of these kinds, with how often."""
    lines = re.findall(rf"= .* (?:{kinds})\(.*", program)
    names = [name for line in lines for name in re.findall(r"/((?:conv|fc)\d)/shard_map/", line)]
    return {name: names.count(name) for name in sorted(set(names))}


OTHERS = ["data", "hybrid", "columns", "fsdp", "hybrid in parts"]


@pytest.mark.parametrize("name", OTHERS)
def test_a_layout_has_the_losses_of_one_device(runs, name):
    """Over twelve steps with random crops, flips, colors and dropout."""
    losses = runs["one device"]["losses"]
    np.testing.assert_allclose(runs[name]["losses"], losses, rtol=1e-5)
    assert np.ptp(losses) > 0.1, "it trains"


@pytest.mark.parametrize("name", OTHERS)
def test_a_layout_mixes_and_averages_as_one_device_does(runs, name):
    one, other = runs["modern, one device"], runs[f"modern, {name}"]
    np.testing.assert_allclose(other["losses"], one["losses"], rtol=1e-5)
    np.testing.assert_allclose(other["norms_of_average"], one["norms_of_average"], rtol=1e-5)
    assert np.abs(np.subtract(one["losses"], runs["one device"]["losses"])).max() > 0.01


@pytest.mark.parametrize("name", OTHERS)
def test_a_layout_begins_with_the_bits_of_one_device(runs, name):
    assert runs[name]["parameters_sha256"] == runs["one device"]["parameters_sha256"]


def test_data_sends_nothing_but_all_gradients_once(runs):
    (transfer,) = read_transfers(runs["data"]["program"], 8)
    assert transfer.kind == "all-reduce"
    loss_and_error = 2
    assert transfer.bytes_kept == 4 * (PARAMETERS + loss_and_error)


def test_columns_talk_only_at_conv3_and_the_fully_connected_layers(runs):
    """Twice each: the maps on the way up, their gradients on the way down."""
    program = runs["columns"]["program"]
    between_columns = [t for t in read_transfers(program, 8) if t.kind != "all-reduce"]
    assert {transfer.devices for transfer in between_columns} == {2}
    talking = layers_that_talk(program, "all-gather|reduce-scatter|all-to-all|collective-permute")
    assert talking == {"conv3": 2, "fc6": 2, "fc7": 2, "fc8": 2}
    assert len(between_columns) == 8


def test_a_grouped_convolution_sums_its_kernels_gradient_over_the_data_axis_and_no_more(runs):
    program = runs["columns"]["program"]
    sums = [t for t in read_transfers(program, 8) if t.kind == "all-reduce" and t.bytes_kept > 100]
    assert [transfer.devices for transfer in sums] == [4]
    half_the_parameters = 4 * (PARAMETERS - 4) // 2
    assert sums[0].bytes_kept == half_the_parameters


def test_hybrid_exchanges_no_gradient_of_a_fully_connected_kernel_inside_a_machine(runs):
    transfers = read_transfers(runs["hybrid"]["program"], 8)
    over_all = [t.bytes_kept for t in transfers if t.devices == 8]
    convolutions = 40_432  # Kernels and biases of conv1 to conv5.
    output_bias_loss_and_error = 4 + 2
    assert sum(over_all) == 4 * (convolutions + output_bias_loss_and_error)


def test_sharded_gathers_each_kernel_and_scatters_its_gradient_once(runs):
    program = runs["fsdp"]["program"]
    kernels = dict.fromkeys(("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"), 1)
    assert layers_that_talk(program, "all-gather") == kernels
    assert layers_that_talk(program, "reduce-scatter") == kernels


def test_microbatches_exchange_each_its_gradients_and_together_the_maps(runs):
    whole, parts = (
        bytes_by_kind(read_transfers(runs[name]["program"], 8))
        for name in ("hybrid", "hybrid in parts")
    )
    assert parts["reduce-scatter"] == whole["reduce-scatter"]
    assert parts["all-reduce"] == pytest.approx(2 * whole["all-reduce"], rel=0.01)
