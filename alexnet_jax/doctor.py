"""Say, before the run, what this machine will do with a config: measured, in under a minute.

  python -m alexnet_jax.doctor --config=configs/imagenet.py
  python -m alexnet_jax.doctor --config=configs/imagenet.py --config.model.name=owt --json
  python -m alexnet_jax.doctor --config=configs/imagenet.py --devices=64

Prints the network layer by layer; how fast images are read, decoded, sent and trained on; memory;
the share of the machine's matrix products that a step reaches; the bottleneck, and what to do
about it. Without data the step is measured on random pixels.

With --devices, what each layout would keep and send on so many devices; none of them need be there.
"""

import sys
from collections.abc import Sequence

from absl import flags, logging
from ml_collections import config_flags

from alexnet_jax import command_line
from alexnet_jax.errors import UserError
from alexnet_jax.process import restart_with_huge_pages

_CONFIG = config_flags.DEFINE_config_file("config", None, "The config file, e.g. configs/demo.py.")
_JSON = flags.DEFINE_bool("json", False, "Print one JSON object instead of the table.")
_SECONDS = flags.DEFINE_float(
    "seconds", 50.0, "How long to measure; less gives rougher numbers.", lower_bound=1.0
)
_DEVICES = flags.DEFINE_integer(
    "devices", None, "Compile for so many devices and tell what they send.", lower_bound=2
)
_PER_MACHINE = flags.DEFINE_integer(
    "devices_per_machine", 8, "With --devices: how many share a machine.", lower_bound=1
)
_LINK_GBPS = flags.DEFINE_float(
    "link_gbps", 100.0, "With --devices: what a device sends in a second, in gigabits.", 0.001
)


def main(arguments: Sequence[str]) -> None:
    """Measure or, for devices that are not there, compile; print what was found."""
    if arguments:
        raise UserError(f"unexpected arguments: {' '.join(arguments)}; flags begin with --")
    logging.set_verbosity(logging.ERROR)  # TFDS remarks on every directory that it opens.
    print(_measure() if _DEVICES.value is None else _estimate(_DEVICES.value))


def _measure() -> str:
    # Imported here so that --help does not wait for JAX.
    from alexnet_jax.diagnosis.examination import diagnose
    from alexnet_jax.diagnosis.report import format_json, format_table
    from alexnet_jax.training.experiment import build_run, build_without_data

    run, missing = None, ""
    try:
        run = build_run(_CONFIG.value)
    except UserError as error:
        missing = str(error)
    experiment = run.experiment if run else build_without_data(_CONFIG.value)
    diagnosis = diagnose(experiment, run, missing, _SECONDS.value, _tell)
    return format_json(diagnosis) if _JSON.value else format_table(diagnosis)


def _estimate(devices: int) -> str:
    from alexnet_jax.diagnosis.scaling import report

    return report(_CONFIG.value, devices, _PER_MACHINE.value, _LINK_GBPS.value, _JSON.value)


def _tell(doing: str) -> None:
    """Let whoever watches know what is being measured."""
    if sys.stderr.isatty():
        print(f"measuring: {doing} …", file=sys.stderr)


if __name__ == "__main__":
    restart_with_huge_pages()
    command_line.run(main, required=("config",), prints_result=True)
