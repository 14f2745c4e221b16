r"""Try the claims of the 2012 paper: train what is missing, and write the page of results.

  python -m launch.reproduce --list
  python -m launch.reproduce --claim=relu --data=fashion_mnist --seeds=3
  python -m launch.reproduce --data=fractals/few --seeds=10 --executor=ray
  python -m launch.reproduce --page_only

A claim is a row of alexnet_jax/reproduction/claims.toml. Its runs are a sweep below --workdir; the
same command again runs only what is missing. Their logs go to --results, and --page is rewritten
from all logs there. Without --claim, all claims that the data set can test are run.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

if not __package__:  # Run as `python launch/reproduce.py`: the packages are one folder up.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from absl import flags

from alexnet_jax import cli
from alexnet_jax.errors import UserError
from alexnet_jax.system.signals import exit_on_signals

_CLAIM = flags.DEFINE_multi_string("claim", [], "A claim to try; may be given several times.")
_DATA = flags.DEFINE_string("data", "", "The data set; --list names those of each claim.")
_SEEDS = flags.DEFINE_integer(
    "seeds", 3, "Seeds of each arm; the baseline has twice as many.", lower_bound=1
)
_WORKDIR = flags.DEFINE_string("workdir", "runs/reproduce", "The folder of the runs.")
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "The folder of the prepared data sets.")
_RESULTS = flags.DEFINE_string(
    "results", "benchmarks/results/paper", "The folder of the logs, from which the page is written."
)
_PAGE = flags.DEFINE_string("page", "docs/reproducing-2012.md", "The page.")
_EXECUTOR = flags.DEFINE_enum(
    "executor", "local", ["local", "ray"], "Run on this machine, or with Ray Tune."
)
_GPUS = flags.DEFINE_integer(
    "gpus_per_trial", None, "Run trials side by side, each on this number of GPUs.", lower_bound=1
)
_LIST = flags.DEFINE_bool("list", False, "Print the claims, or those of --claim; run nothing.")
_PAGE_ONLY = flags.DEFINE_bool("page_only", False, "Write the page from the logs; run nothing.")


def main(arguments: Sequence[str]) -> None:
    """Do what the flags say."""
    cli.refuse_arguments(arguments)
    from alexnet_jax.reproduction.claims import load_claims
    from alexnet_jax.reproduction.listing import format_claims

    claims = load_claims()
    if _LIST.value:
        print(format_claims(claims, _CLAIM.value))
        return
    # Imported here so that --help and --list do not wait for JAX.
    from alexnet_jax.reproduction.findings import read_logs
    from alexnet_jax.reproduction.page import check_page, write_page
    from alexnet_jax.reproduction.running import choose, run_experiments
    from alexnet_jax.sweeps.running import local_executor, ray_executor

    # Before the runs, which take hours.
    results, page = Path(_RESULTS.value), Path(_PAGE.value)
    check_page(page)
    logs = read_logs(results, claims)
    if _PAGE_ONLY.value:
        if not logs:
            raise UserError(f"--results={results} has no log of launch.reproduce")
    else:
        if not _DATA.value:
            raise UserError("--data must be given, or --list or --page_only; see --help")
        execute = (
            ray_executor(cpus=1, gpus=_GPUS.value, grace=1.0, reduction_factor=3.0)  # Stops none.
            if _EXECUTOR.value == "ray"
            else local_executor(_GPUS.value)
        )
        run_experiments(
            choose(claims, _CLAIM.value, _DATA.value),
            _DATA.value,
            _DATA_DIR.value,
            _SEEDS.value,
            Path(_WORKDIR.value),
            results,
            execute,
        )
    findings = write_page(claims, results, page)
    print(f"{page}: {len(findings)} findings")


if __name__ == "__main__":
    exit_on_signals()
    cli.run(main, prints_result=True)
