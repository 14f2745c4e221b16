import json

import pytest
from short_run import short_config

from alexnet_jax.diagnosis.examination import affordable_batch_size, diagnose, input_stages
from alexnet_jax.diagnosis.report import format_table
from alexnet_jax.diagnosis.timing import Skipped
from alexnet_jax.runs.run import build_run
from alexnet_jax.training.experiment import build_without_data

pytestmark = pytest.mark.slow

STAGES = [
    "reading_cold",
    "reading_warm",
    "decoding",
    "batches",
    "transfer",
    "augmentation",
    "step",
    "loop",
]


@pytest.fixture(scope="module")
def diagnosis(fractals_dir):
    config = short_config(fractals_dir)
    config.train.steps = 400
    config.schedule.name = "constant"  # The same program, whatever the length of the run.
    run = build_run(config)
    return diagnose(run.experiment, run, missing="", seconds=4)


@pytest.fixture(scope="module")
def described(diagnosis):
    return json.loads(json.dumps(diagnosis))


def test_every_stage_is_measured_in_the_order_in_which_images_pass(diagnosis):
    assert list(diagnosis["stages"]) == STAGES
    skipped = {name for name, stage in diagnosis["stages"].items() if "reason" in stage}
    # A file system may not be able to forget, and a busy machine have no time for the loop.
    assert skipped <= {"reading_cold", "loop"}


def test_every_speed_is_positive_and_agrees_with_its_time(diagnosis):
    for stage in diagnosis["stages"].values():
        if "reason" not in stage:
            assert stage["repetitions"] >= 1
            assert stage["images_per_second"] * stage["seconds"] == pytest.approx(32)


def test_the_json_holds_every_key(described):
    assert described.keys() == {
        "machine",
        "network",
        "arguments",
        "data",
        "run",
        "elsewhere",
        "missing",
        "stages",
        "data_wait_fraction",
        "compile_seconds",
        "augmentation_fraction",
        "flops",
        "memory",
        "store",
        "bottleneck",
        "advice",
        "seconds",
    }
    assert described["missing"] is None
    assert described["data"]["examples"] == 200
    assert described["run"].items() >= {"epochs": None, "steps": 400, "images": 12_800}.items()
    assert described["run"]["seconds"] > 0
    assert described["store"]["bytes"] == 240 * 96 * 96 * 3
    assert described["network"]["parameters"] == 182_778
    assert described["machine"]["devices"] == 4


def test_utilisation_is_the_steps_products_over_the_ceiling(described):
    flops = described["flops"]
    # The gradient of the images is not computed.
    assert 4 < flops["training_per_image"] / described["network"]["multiply_adds"] < 6
    rate = described["stages"]["step"]["images_per_second"]
    assert flops["step_per_second"] == pytest.approx(flops["training_per_image"] * rate)
    assert flops["utilisation"] * flops["ceiling_per_second"] == pytest.approx(
        flops["step_per_second"]
    )
    assert flops["utilisation"] > 0


def test_memory_holds_at_least_the_parameters(described):
    memory = described["memory"]
    assert memory["host_total"] > memory["host_peak"] > memory["device_peak"] > 4 * 182_778


def test_the_table_of_a_real_machine_fits_a_terminal(diagnosis):
    assert max(len(line) for line in format_table(diagnosis).splitlines()) <= 100


def test_a_step_too_slow_for_the_time_is_tried_on_fewer_images_divided_over_the_devices(config):
    # 32 images at a fifth of 1,000 operations a second in a quarter of 160 s: 8,000 operations.
    experiment = build_without_data(config)
    sizes = [
        affordable_batch_size(experiment, flops, ceiling=1_000.0, seconds=160.0)
        for flops in (250, 251, 1_000, 100_000)
    ]
    assert sizes == [32, 16, 8, 4]


def test_fewer_images_still_make_whole_microbatches(config):
    config.train.microbatch_size = 16
    experiment = build_without_data(config)
    assert affordable_batch_size(experiment, 100_000, ceiling=1.0, seconds=1.0) == 8


@pytest.mark.parametrize("source", ["store", "device"])
def test_pixels_are_read_and_made_into_batches_but_not_decoded(config, stored_fractals, source):
    config.data.update(dir=str(stored_fractals), source=source)
    stages = input_stages(build_run(config), 10.0)
    assert stages["decoding"] == Skipped("the store holds pixels")
    warm = stages["reading_warm"]
    assert warm.bytes_per_second / warm.images_per_second == pytest.approx(96 * 96 * 3)
    assert stages["batches"].repetitions == 5  # Of six, the first starts the clock.


def test_without_data_no_input_is_measured():
    stages = input_stages(None, 10.0)
    assert set(stages.values()) == {Skipped("no data")}
