"""Measure what this machine will do with a config, in under a minute, before the run.

  python -m alexnet_jax.doctor --config=configs/imagenet.py
  python -m alexnet_jax.doctor --config=configs/imagenet.py --config.model.name=owt --json
  python -m alexnet_jax.doctor --config=configs/imagenet.py --devices=64
  python -m alexnet_jax.doctor --config=configs/imagenet.py --chip=v5e

Prints the network layer by layer; the speed of reading, decoding, transfer and training; memory;
utilization; the bottleneck, and advice. Without data the step is measured on random pixels.

With --devices: memory and communication of each layout on that many devices, which need not exist.
With --chip: what that chip's compiler says of the step: whether it fits, what it costs, what limits
it. No chip is needed, but its compiler: pip install "jax[tpu]" or "jax[cuda13]".
"""

import json
from collections.abc import Sequence
from typing import Any

from absl import flags, logging
from ml_collections import config_flags

from alexnet_jax import cli
from alexnet_jax.errors import UserError
from alexnet_jax.system.process import restart_with_huge_pages
from alexnet_jax.system.progress import Progress

_CONFIG = config_flags.DEFINE_config_file("config", None, "The config file, e.g. configs/demo.py.")
_JSON = flags.DEFINE_bool("json", False, "Print one JSON object instead of the table.")
_SECONDS = flags.DEFINE_float(
    "seconds", 50.0, "Time limit; a shorter one gives rougher numbers.", lower_bound=1.0
)
_DEVICES = flags.DEFINE_integer(
    "devices", None, "Estimate for this many devices instead of measuring.", lower_bound=2
)
_PER_MACHINE = flags.DEFINE_integer(
    "devices_per_machine", 8, "With --devices: how many a machine has.", lower_bound=1
)
_LINK_GBPS = flags.DEFINE_float(
    "link_gbps", 100.0, "With --devices: gigabits per second of a device's link.", 0.001
)
_CHIP = flags.DEFINE_string("chip", None, "Compile the step for this chip instead of measuring.")
_TOPOLOGY = flags.DEFINE_string("topology", "", "With --chip: the chips' arrangement, as v5e:4x4.")


def main(arguments: Sequence[str]) -> None:
    """Print measurements or, with --devices or --chip, estimates."""
    cli.refuse_arguments(arguments)
    logging.set_verbosity(logging.ERROR)  # TFDS warns about every directory that it opens.
    if _CHIP.value is not None and _DEVICES.value is not None:
        raise UserError("give --chip or --devices: --topology says how many chips there are")
    if _CHIP.value is not None:
        found, text = _compile(_CHIP.value)
    else:
        found, text = _measure() if _DEVICES.value is None else _estimate(_DEVICES.value)
    print(json.dumps(found, indent=2) if _JSON.value else text)


def _measure() -> tuple[Any, str]:
    # Imported here so that --help does not wait for JAX.
    from alexnet_jax.diagnosis.examination import diagnose
    from alexnet_jax.diagnosis.report import format_table
    from alexnet_jax.runs.run import build_run
    from alexnet_jax.training.experiment import build_without_data

    run, missing = None, ""
    try:
        run = build_run(_CONFIG.value)
    except UserError as error:
        missing = str(error)
    experiment = run.experiment if run else build_without_data(_CONFIG.value)
    arguments = cli.config_arguments(_CONFIG)
    with Progress("measuring", None) as progress:

        def show(doing: str) -> None:
            progress.what = f"measuring {doing}, {_SECONDS.value:g} s in all"

        diagnosis = diagnose(experiment, run, missing, _SECONDS.value, show, arguments)
    return diagnosis, format_table(diagnosis)


def _estimate(devices: int) -> tuple[Any, str]:
    from alexnet_jax.diagnosis.scaling import estimate_communication, format_estimates

    rows = estimate_communication(_CONFIG.value, devices, _PER_MACHINE.value)
    batch_size = _CONFIG.value.train.batch_size
    return rows, format_estimates(rows, batch_size, devices, _LINK_GBPS.value)


def _compile(name: str) -> tuple[Any, str]:
    from alexnet_jax.diagnosis.chip_report import describe_cost, format_cost
    from alexnet_jax.diagnosis.chips import find_chip
    from alexnet_jax.diagnosis.compiled_step import compile_for

    chip = find_chip(name)
    with Progress(f"compiling the step for {chip.name}, about a minute", None):
        cost = compile_for(_CONFIG.value, chip, _TOPOLOGY.value)
    model, layout = _CONFIG.value.model, _CONFIG.value.parallel.layout
    found = describe_cost(cost, chip, model.name, model.dtype, layout)
    return found, format_cost(found, chip)


if __name__ == "__main__":
    restart_with_huge_pages()
    cli.run(main, required=("config",), prints_result=True)
