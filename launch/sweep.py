"""Train one config many times, each time with overrides of its own, and compare.

  python -m launch.sweep --config=configs/automatic.py --sweep=configs/sweeps/ablations.py \
      --workdir=runs/ablations
  python -m launch.sweep --table --workdir=runs/ablations

The same command again runs only what is missing. --seeds=3 repeats every trial under three seeds;
--gpus_per_trial=1 runs as many side by side as there are GPUs; --executor=ray gives up those that
fall behind. Any key of the config can be overridden for all trials with --config.group.key=value.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

if not __package__:  # Run by its path, as `python launch/sweep.py`: packages lie a folder up.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from absl import flags
from ml_collections import config_flags

from alexnet_jax import command_line
from alexnet_jax.ending import end_when_asked
from alexnet_jax.errors import UserError
from alexnet_jax.sweeps.devices import divide_gpus, visible_gpus
from alexnet_jax.sweeps.planned_trial import PlannedTrial
from alexnet_jax.sweeps.reporting import Reporter
from alexnet_jax.sweeps.sweep_file import load_sweep

_CONFIG = config_flags.DEFINE_config_file("config", None, "The config that trials override.")
_SWEEP = flags.DEFINE_string("sweep", "", "The sweep file, e.g. configs/sweeps/ablations.py.")
_WORKDIR = flags.DEFINE_string("workdir", "", "The sweep's folder; each trial has its own in it.")
_EXECUTOR = flags.DEFINE_enum(
    "executor", "local", ["local", "ray"], "What runs the trials: a plain loop here, or Ray Tune."
)
_SEEDS = flags.DEFINE_integer(
    "seeds", 1, "How often each trial runs, under train.seed and those after it.", lower_bound=1
)
_SAMPLES = flags.DEFINE_integer(
    "samples", None, "How many trials to draw from a search space.", lower_bound=1
)
_GPUS = flags.DEFINE_integer(
    "gpus_per_trial",
    None,
    "Run trials side by side, with so many GPUs each. Default: local, one trial at a time on all "
    "devices; ray, one GPU where there are any.",
    lower_bound=0,
)
_CPUS = flags.DEFINE_integer(
    "cpus_per_trial", 1, "ray: CPUs that a trial is counted with.", lower_bound=1
)
_GRACE = flags.DEFINE_float(
    "grace",
    0.1,
    "ray: the share of its steps before which no trial is given up; 1 to give none up.",
    lower_bound=0.001,
    upper_bound=1.0,
)
_REDUCTION = flags.DEFINE_float(
    "reduction_factor",
    3.0,
    "ray: one trial of so many goes on at --grace, and again at so many times that.",
    lower_bound=1.1,
)
_TABLE = flags.DEFINE_bool("table", False, "Print the results that are there, and start nothing.")
_FORMAT = flags.DEFINE_enum("format", "markdown", ["markdown", "csv"], "Of the table.")


def main(arguments: Sequence[str]) -> None:
    """Run the sweep, or print its table."""
    if arguments:
        raise UserError(f"unexpected arguments: {' '.join(arguments)}; flags begin with --")
    root = Path(_WORKDIR.value)
    if not _TABLE.value:
        run(root)
    # Imported here and below so that --help and mistakes do not wait for JAX.
    from alexnet_jax.sweeps.table import format_csv, format_markdown, read_rows

    rows, unfinished = read_rows(root)
    csv = _FORMAT.value == "csv"
    print(format_csv(rows) if csv else format_markdown(rows, unfinished))


def run(root: Path) -> None:
    """Run the trials that have no result.

    Exits with 1 where some failed, with 2 where all that failed did so by a mistake of the user's;
    stopped by a signal, as alexnet_jax.main does.
    """
    trials = make_plan(root)
    from alexnet_jax.sweeps.table import format_markdown, read_rows
    from alexnet_jax.training.interruption import Interrupted

    ended = [trial for trial in trials if trial.result() is not None]
    if _EXECUTOR.value == "ray":
        ended += [trial for trial in trials if trial.stopped_early() and trial not in ended]
    missing = [trial for trial in trials if trial not in ended]
    reporter = Reporter(root, trials)
    reporter.say(
        f"{len(trials)} trials in {root}: {len(ended)} ended before, {len(missing)} to run"
    )
    before = _steps_saved(trials)
    try:
        if missing:
            execute(missing, ended, root, reporter)
    except Interrupted as interruption:
        interruption.saved = _steps_saved(trials) > before
        print(interruption.explain(), file=sys.stderr)
        sys.exit(interruption.exit_code)
    if reporter.failures:
        print(format_markdown(*read_rows(root)))
        for name, failure in reporter.failures.items():
            print(f"failed: {name}, {failure}; see {root / name}/output.txt", file=sys.stderr)
        print("The same command tries what failed again.", file=sys.stderr)
        codes = {failure.exit_code for failure in reporter.failures.values()}
        sys.exit(codes.pop() if codes in ({2}, {3}) else 1)


def _steps_saved(trials: Sequence[PlannedTrial]) -> int:
    return sum(trial.steps_saved() for trial in trials)


def make_plan(root: Path) -> list[PlannedTrial]:
    """Return the checked trials that the flags describe."""
    for flag in ("config", "sweep"):
        if not flags.FLAGS[flag].value:
            raise UserError(f"--{flag} must be given, or --table; see --help")
    from alexnet_jax.sweeps.planning import Base, plan

    config = flags.FLAGS["config"]
    base = Base(
        _CONFIG.value,
        config_flags.get_config_filename(config),
        config_flags.get_override_values(config),
    )
    return plan(base, load_sweep(Path(_SWEEP.value), _SAMPLES.value), _SEEDS.value, root)


def execute(
    missing: Sequence[PlannedTrial],
    ended: Sequence[PlannedTrial],
    root: Path,
    reporter: Reporter,
) -> None:
    """Run the `missing` trials with the executor that the flags name."""
    if _EXECUTOR.value == "ray":
        from alexnet_jax.sweeps.ray_tune import RaySettings, run_ray

        settings = RaySettings(_CPUS.value, _GPUS.value, _GRACE.value, _REDUCTION.value)
        run_ray(missing, ended, root, settings, reporter)
        return
    for flag in ("cpus_per_trial", "grace", "reduction_factor"):
        if flags.FLAGS[flag].present:
            raise UserError(f"--{flag} goes with --executor=ray")
    if _GPUS.value == 0:
        raise UserError("--gpus_per_trial=0 goes with --executor=ray; leave it out")
    from alexnet_jax.sweeps.local import run_local

    sets = divide_gpus(visible_gpus(), _GPUS.value) if _GPUS.value else [None]
    run_local(missing, sets, reporter)


if __name__ == "__main__":
    end_when_asked()
    command_line.run(main, required=("workdir",), prints_result=True)
