from dataclasses import asdict

import pytest
from made_diagnosis import DATA, made_diagnosis, speeds

from alexnet_jax.diagnosis.report import format_table
from alexnet_jax.diagnosis.timing import Speed

MISSING = (
    "no data set 'imagenet2012' in /a/rather/long/directory/of/data; make it with: "
    "python -m alexnet_jax.prepare --dataset=imagenet2012 --source=DIR "
    "--data_dir=/a/rather/long/directory/of/data"
)


@pytest.mark.parametrize(
    "diagnosis",
    [
        made_diagnosis(),
        made_diagnosis({"reading_cold": 900.0, "augmentation": 31_000.0}),
        made_diagnosis({"batches": None, "loop": None}, data=None, missing=MISSING),
    ],
)
def test_no_line_but_a_command_to_copy_is_wider_than_a_hundred_columns(diagnosis):
    lines = format_table(diagnosis).splitlines()
    assert [line for line in lines if len(line) > 100 and "    python -m" not in line] == []


def test_a_stage_is_a_line_with_its_speed_and_its_time():
    (line,) = [line for line in format_table(made_diagnosis()).splitlines() if "decoding" in line]
    assert line.split() == ["decoding", "and", "scaling", "1,250", "102.4", "ms", "2", "threads"]


def test_utilisation_is_a_line_with_both_sides_of_the_ratio():
    assert "50.0% of matrix products alone: 124.0 TFLOP/s of 248.0 TFLOP/s" in format_table(
        made_diagnosis()
    )


def test_the_store_of_imagenet_is_named_with_its_size_and_where_it_fits():
    assert "both splits 261.7 GB: fits on disk; does not fit on memory, device" in format_table(
        made_diagnosis()
    )


def test_the_length_of_the_run_comes_from_the_whole_loop():
    # 900,000 steps of 128 images at 1,200 images/s.
    assert "90 epochs, 900,000 steps of 128 images: 26.7 h on this machine" in format_table(
        made_diagnosis()
    )


def test_without_a_loop_the_length_of_the_run_is_said_to_come_from_the_step():
    rates = {"batches": 60_000.0, "loop": None}
    table = format_table(made_diagnosis(rates))
    assert "900,000 steps of 128 images: 61.9 min on this machine" in table
    assert "(without evaluations, from the speed of the step alone)" in table


def test_the_length_of_a_run_on_unknown_data_is_that_of_a_million_images():
    unknown = {"epochs": 90.0, "steps": None, "images": None}
    table = format_table(made_diagnosis({"batches": 60_000.0}, run=unknown))
    assert "13.9 min for a million images; the data set, and so its size, is missing" in table


def test_a_cpu_has_no_link_whose_bandwidth_could_be_measured():
    cpu = made_diagnosis()["machine"] | {"platform": "cpu"}
    (line,) = [
        line
        for line in format_table(made_diagnosis(machine=cpu)).splitlines()
        if line.startswith("transfer")
    ]
    assert line.endswith("a copy in memory: the device is the processor")


def test_a_step_of_fewer_images_says_so():
    stages = speeds() | {"step": asdict(Speed(10.0, 3.2, 2))}
    assert "2 steps of 32 images, for lack of time, compiled in 3.0 s" in format_table(
        made_diagnosis(stages=stages)
    )


def test_what_was_skipped_says_why():
    table = format_table(made_diagnosis({"loop": None}, data=DATA | {"source": "device"}))
    (line,) = [line for line in table.splitlines() if line.startswith("whole training loop")]
    assert line.split()[-4:] == ["-", "-", "no", "data"]
