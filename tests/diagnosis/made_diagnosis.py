"""A diagnosis made by hand: a GPU that needs 31,000 images a second."""

from dataclasses import asdict

from alexnet_jax.diagnosis.advice import add_conclusions
from alexnet_jax.diagnosis.timing import Skipped, Speed
from alexnet_jax.layer_table import Row

DATA = {
    "name": "imagenet2012",
    "data_dir": "data",
    "source": "records",
    "threads": 2,
    "image_size": 256,
    "image_bytes": 140_000_000_000,
    "examples": 1_281_167,
    "validation_examples": 50_000,
}
MEMORY = {
    "host_total": 25_000_000_000,
    "host_resident": 1_000_000_000,
    "host_peak": 2_000_000_000,
    "device_total": 80_000_000_000,
    "device_peak": 3_000_000_000,
    "device_peak_measured": True,
    "disk_free": 500_000_000_000,
}
RATES = {
    "reading_cold": 40_000.0,
    "reading_warm": 50_000.0,
    "decoding": 1_250.0,
    "batches": 1_210.0,
    "transfer": 90_000.0,
    "augmentation": 3_100_000.0,
    "step": 31_000.0,
    "loop": 1_200.0,
}


def speeds(**rates):
    """The stages at RATES but for `rates`; None skips one."""
    return {
        name: asdict(Skipped("no data") if rate is None else Speed(rate, 128 / rate, 10))
        for name, rate in (RATES | rates).items()
    }


def made_diagnosis(rates=None, dtype="bfloat16", **changes):
    measured = {
        "machine": {
            "cores": 2,
            "processor": "a processor",
            "amx": False,
            "platform": "gpu",
            "device": "a GPU",
            "devices": 1,
            "jax": "0.10.2",
        },
        "network": {
            "name": "original",
            "dtype": dtype,
            "batch_size": 128,
            "layers": [asdict(Row("conv1", (224, 224, 3), (55, 55, 96), 34_944, 105_415_200))],
        },
        "arguments": ["--config=configs/imagenet.py"],
        "data": DATA,
        "run": {"epochs": 90.0, "steps": 900_000, "images": 115_200_000},
        "elsewhere": [],
        "missing": None,
        "stages": speeds(**(rates or {})),
        "data_wait_fraction": 0.96,
        "compile_seconds": 3.0,
        "flops": {"training_per_image": 4_000_000_000, "ceiling_per_second": 248e12},
        "memory": MEMORY,
        "seconds": 40.0,
    }
    return add_conclusions(measured | changes)
