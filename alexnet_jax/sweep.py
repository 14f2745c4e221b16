r"""Train one config many times, each time with its own overrides, and compare the results.

  python -m alexnet_jax.sweep --config=configs/automatic.py --sweep=configs/sweeps/ablations.py \
      --workdir=runs/ablations
  python -m alexnet_jax.sweep --table --workdir=runs/ablations

The same command again runs only the trials that are missing. --seeds=3 repeats each trial under
three seeds. --gpus_per_trial=1 runs one trial on each GPU, side by side. --executor=ray stops the
trials that fall behind. --config.group.key=value overrides a key for all trials.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from alexnet_jax import cli
from alexnet_jax.errors import UserError
from alexnet_jax.sweeps.running import (
    Executor,
    exit_if_failed,
    local_executor,
    ray_executor,
    run_missing,
)
from alexnet_jax.sweeps.table import format_csv, format_markdown, read_rows
from alexnet_jax.sweeps.trial_run import STOPPED_EARLY, TrialRun
from alexnet_jax.sweeps.trials import load_sweep
from alexnet_jax.system.signals import exit_on_signals

_CONFIG = config_flags.DEFINE_config_file("config", None, "The config that trials override.")
_SWEEP = flags.DEFINE_string("sweep", "", "The sweep file, such as configs/sweeps/ablations.py.")
_WORKDIR = flags.DEFINE_string("workdir", "", "The sweep's folder, with a subfolder per trial.")
_EXECUTOR = flags.DEFINE_enum(
    "executor", "local", ["local", "ray"], "Run the trials on this machine, or with Ray Tune."
)
_SEEDS = flags.DEFINE_integer(
    "seeds", 1, "Repetitions of each trial, with train.seed and the seeds after it.", lower_bound=1
)
_SAMPLES = flags.DEFINE_integer(
    "samples", None, "Number of trials to draw from a search space.", lower_bound=1
)
_GPUS = flags.DEFINE_integer(
    "gpus_per_trial",
    None,
    "Run trials side by side, each on this number of GPUs. Unset: with the local executor, one "
    "trial at a time on all devices; with ray, one GPU per trial if there are any.",
    lower_bound=0,
)
_CPUS = flags.DEFINE_integer(
    "cpus_per_trial", 1, "ray: CPUs to reserve for each trial.", lower_bound=1
)
_GRACE = flags.DEFINE_float(
    "grace",
    0.1,
    "ray: fraction of its steps that each trial runs before it can be stopped. 1: stop none.",
    lower_bound=0.001,
    upper_bound=1.0,
)
_REDUCTION = flags.DEFINE_float(
    "reduction_factor",
    3.0,
    "ray: one of this many trials continues after --grace, and again after this many times the "
    "steps.",
    lower_bound=1.1,
)
_TABLE = flags.DEFINE_bool("table", False, "Only print the table of the results so far.")
_FORMAT = flags.DEFINE_enum("format", "markdown", ["markdown", "csv"], "Format of the table.")


def main(arguments: Sequence[str]) -> None:
    """Run the sweep, or print its table."""
    cli.refuse_arguments(arguments)
    root = Path(_WORKDIR.value)
    if not _TABLE.value:
        trials = make_plan(root)
        also_ended = [STOPPED_EARLY] if _EXECUTOR.value == "ray" else []
        exit_if_failed(run_missing(trials, root, make_executor(), also_ended), root)
    rows, unfinished = read_rows(root)
    csv = _FORMAT.value == "csv"
    print(format_csv(rows) if csv else format_markdown(rows, unfinished))


def make_plan(root: Path) -> list[TrialRun]:
    """Return the checked trials that the flags describe."""
    for flag in ("config", "sweep"):
        if not flags.FLAGS[flag].value:
            raise UserError(f"--{flag} must be given, or --table; see --help")
    # Imported here so that --help and --table do not wait for Flax and Orbax.
    from alexnet_jax.sweeps.planning import plan

    config = flags.FLAGS["config"]
    return plan(
        _CONFIG.value,
        config_flags.get_config_filename(config),
        config_flags.get_override_values(config),
        load_sweep(Path(_SWEEP.value), _SAMPLES.value),
        _SEEDS.value,
        root,
    )


def make_executor() -> Executor:
    """Return what runs trials, as the flags say."""
    if _EXECUTOR.value == "ray":
        return ray_executor(
            cpus=_CPUS.value,
            gpus=_GPUS.value,
            grace=_GRACE.value,
            reduction_factor=_REDUCTION.value,
        )
    for flag in ("cpus_per_trial", "grace", "reduction_factor"):
        if flags.FLAGS[flag].present:
            raise UserError(f"--{flag} needs --executor=ray")
    if _GPUS.value == 0:
        raise UserError("--gpus_per_trial=0 needs --executor=ray; leave it out")
    return local_executor(_GPUS.value)


if __name__ == "__main__":
    exit_on_signals()
    cli.run(main, required=("workdir",), prints_result=True)
