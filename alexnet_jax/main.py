"""Train AlexNet, or resume a run, and evaluate it.

  python -m alexnet_jax.main --config=configs/imagenet.py --workdir=runs/imagenet
  python -m alexnet_jax.main --config=configs/demo.py --workdir=runs/demo --config.train.seed=1

The same command resumes a run that was stopped. --config.group.key=value overrides any key of the
config. The run writes its files to the workdir, result.json last; docs/training.md lists them.
"""

from alexnet_jax.system.signals import exit_on_signals, ignore_signals

if __name__ == "__main__":
    exit_on_signals()  # Before the imports, which are slow.

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from alexnet_jax import cli
from alexnet_jax.system.process import restart_with_huge_pages
from alexnet_jax.system.progress import say, silence

_CONFIG = config_flags.DEFINE_config_file("config", None, "The config file, e.g. configs/demo.py.")
_WORKDIR = flags.DEFINE_string("workdir", "", "The folder of the run.")
_RESUME = flags.DEFINE_enum(
    "resume",
    "same_config",
    ["same_config", "ignore_config"],
    "ignore_config resumes a run even if the config now gives other numbers.",
)
_PROFILE = flags.DEFINE_string(
    "profile", "", "START:STOP in completed steps: trace the steps between to WORKDIR/profile."
)
_QUIET = flags.DEFINE_bool("quiet", False, "Print only errors and the final table.")
cli.define_print_config()


def main(arguments: Sequence[str]) -> None:
    """Train as the flags say."""
    cli.refuse_arguments(arguments)
    if _QUIET.value:
        silence()
    # Imported here so that --help does not wait for JAX.
    from alexnet_jax.cluster.distributed import joined_cluster
    from alexnet_jax.config.checks import check_config

    check_config(_CONFIG.value)
    cluster = _CONFIG.value.parallel
    timeouts = cluster.initialization_timeout, cluster.heartbeat_timeout, cluster.shutdown_timeout
    with joined_cluster(*timeouts):
        _train(Path(_WORKDIR.value))


def _train(workdir: Path) -> None:
    from alexnet_jax.monitoring.profiling import parse_profiled_steps
    from alexnet_jax.parallel.multihost import is_process_0
    from alexnet_jax.runs.results import format_result
    from alexnet_jax.runs.train import train_and_evaluate
    from alexnet_jax.training.preemption import Preempted

    ignore_config = _RESUME.value == "ignore_config"
    profiled = parse_profiled_steps(_PROFILE.value)
    try:
        result = train_and_evaluate(_CONFIG.value, workdir, ignore_config, profiled)
    except Preempted as preemption:
        ignore_signals()  # srun ends the other processes when the first one exits.
        print(preemption.explain(), file=sys.stderr)
        sys.exit(preemption.exit_code)
    if is_process_0():
        say("")
        print(format_result(result, workdir))


if __name__ == "__main__":
    restart_with_huge_pages()
    cli.run(main, required=("config", "workdir"))
