import pytest
from made_diagnosis import DATA, MEMORY, made_diagnosis

FAST_INPUT = {"batches": 60_000.0, "decoding": 61_000.0, "loop": 30_900.0}


def advice_of(diagnosis):
    """The advice as (text, command)."""
    return [(advice["text"], advice["command"]) for advice in diagnosis["advice"]]


def texts_of(diagnosis):
    return [advice["text"] for advice in diagnosis["advice"]]


def test_slow_decoding_asks_for_the_pixel_store():
    diagnosis = made_diagnosis()
    assert diagnosis["bottleneck"] == "batches"
    assert advice_of(diagnosis) == [
        (
            "records: 1,210 images/s on 2 cores, the step needs 31,000: build the pixel store, "
            "then give --config.data.source=store",
            "python -m alexnet_jax.prepare --dataset=imagenet2012 --data_dir=data "
            "--image_size=256 --store_only",
        )
    ]


def test_a_busy_device_has_no_trouble_with_its_input():
    diagnosis = made_diagnosis(FAST_INPUT)
    assert diagnosis["bottleneck"] == "step"
    assert advice_of(diagnosis) == [
        (
            "step: 31,000 images/s, 50% of this machine's matrix products; batches come 1.9x as "
            "fast: the input is not the limit; train with",
            "python -m alexnet_jax.main --config=configs/imagenet.py --workdir=WORKDIR",
        )
    ]


def test_float32_on_a_gpu_is_told_of_bfloat16():
    ((text, command),) = advice_of(made_diagnosis(FAST_INPUT, dtype="float32"))
    assert text.endswith("batches come 1.9x as fast: try --config.model.dtype=bfloat16")
    assert command == (
        "python -m alexnet_jax.doctor --config=configs/imagenet.py --config.model.dtype=bfloat16"
    )


def test_a_slow_store_that_fits_on_the_device_should_go_there():
    small = DATA | {"source": "store", "examples": 50_000, "validation_examples": 0}
    assert advice_of(made_diagnosis(data=small)) == [
        (
            "store: 1,210 images/s on 2 cores, the step needs 31,000: the pixels fit on the "
            "device, give --config.data.source=device",
            "python -m alexnet_jax.doctor --config=configs/imagenet.py --config.data.source=device",
        )
    ]


def test_a_slow_store_that_does_not_fit_needs_more_cores():
    (text,) = texts_of(made_diagnosis(data=DATA | {"source": "store"}))
    assert text.endswith("more cores, or faster memory, would help")


def test_a_resident_data_set_needs_no_link():
    resident = DATA | {"source": "device", "examples": 50_000}
    diagnosis = made_diagnosis(FAST_INPUT | {"transfer": 9_000.0}, data=resident)
    assert diagnosis["bottleneck"] == "step"


def test_a_slow_link_is_named_even_where_nothing_helps():
    assert texts_of(made_diagnosis(FAST_INPUT | {"transfer": 9_000.0, "loop": 8_900.0})) == [
        "transfer: 9,000 images/s, the step needs 31,000: the link to the device is the "
        "limit, faster reading gains nothing"
    ]


def test_a_slow_disk_matters_in_every_epoch_where_the_data_exceed_memory():
    assert texts_of(made_diagnosis({"reading_cold": 900.0}))[1] == (
        "disk: 900 images/s from a cold cache, the step needs 31,000: the disk is the limit in "
        "every epoch; a faster one would help"
    )


def test_a_slow_disk_matters_in_the_first_epoch_of_data_that_fit_in_memory():
    small = DATA | {"image_bytes": 1_000_000_000}
    texts = texts_of(made_diagnosis({"reading_cold": 900.0}, data=small))
    assert "the disk is the limit in the first epoch, until the data are in memory" in texts[1]


def test_augmentation_above_a_twentieth_of_the_step_is_named():
    assert advice_of(made_diagnosis({"augmentation": 310_000.0}))[1] == (
        "augmentation takes 10.0% of the step, more than 5%; measure without color noise:",
        "python -m alexnet_jax.doctor --config=configs/imagenet.py --config.augment.color_noise=0",
    )


def test_a_loop_far_below_its_bottleneck_is_named():
    assert texts_of(made_diagnosis(FAST_INPUT | {"loop": 20_000.0}))[1] == (
        "the whole loop runs at 20,000 images/s, its bottleneck at 31,000: reading, transfer "
        "and the step do not overlap as they should"
    )


def test_without_data_the_command_that_makes_them_comes_first():
    nothing = dict.fromkeys(("reading_cold", "reading_warm", "decoding", "batches", "loop"))
    missing = "no data set 'x' in data; make it with: python -m alexnet_jax.prepare --dataset=x"
    assert advice_of(made_diagnosis(nothing, data=None, missing=missing)) == [
        (
            "the input was not measured: no data set 'x' in data; make it with:",
            "python -m alexnet_jax.prepare --dataset=x",
        ),
        ("step: 31,000 images/s, 50% of this machine's matrix products", None),
    ]


def test_pixels_fit_on_a_device_beside_what_the_step_takes():
    # 256 * 256 * 3 bytes an image.
    room = DATA | {"examples": 900, "validation_examples": 100}
    taken = MEMORY | {"device_total": 197_000_000, "device_peak": 391_999}
    assert made_diagnosis(data=room, memory=taken)["store"]["fits_device"]
    taken["device_peak"] = 392_000
    assert not made_diagnosis(data=room, memory=taken)["store"]["fits_device"]


CPU = {
    "cores": 2,
    "processor": "a processor",
    "amx": False,
    "platform": "cpu",
    "device": "cpu",
    "devices": 1,
    "jax": "0.10.2",
}


def test_a_loop_on_a_cpu_that_decodes_is_told_of_the_pixel_store():
    text, command = advice_of(made_diagnosis(FAST_INPUT | {"loop": 20_000.0}, machine=CPU))[1]
    assert "batches and steps share the 2 cores; the pixel store saves the decoding" in text
    assert command.endswith("--store_only")


def test_a_run_of_months_on_a_cpu_should_train_on_a_gpu():
    """90 epochs of ImageNet at 20 images/s, as this run has it: 67 days."""
    slow = FAST_INPUT | {"step": 20.0, "loop": 20.0}
    assert advice_of(made_diagnosis(slow, machine=CPU))[-1] == (
        "the run takes 67 days here: train on a GPU, and measure that first:",
        "python -m alexnet_jax.doctor --config=configs/imagenet.py",
    )


def test_without_a_loop_the_bottleneck_gives_the_time_of_the_run():
    diagnosis = made_diagnosis(FAST_INPUT | {"loop": None})
    assert diagnosis["run"]["measured"] == "step"
    assert diagnosis["run"]["seconds"] == 115_200_000 / 31_000


@pytest.mark.parametrize("amx", [False, True])
def test_float32_on_a_cpu_with_matrix_units_is_told_of_bfloat16(amx):
    diagnosis = made_diagnosis(FAST_INPUT, dtype="float32", machine=CPU | {"amx": amx})
    assert any("try --config.model.dtype=bfloat16" in text for text in texts_of(diagnosis)) == amx
