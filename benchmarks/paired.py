"""What the trials of a sweep gain over its baseline, by pairs of runs with the same seed.

  python -m benchmarks.paired --workdir=runs/switches --out=FILE

Writes the top-1 error of each run on the center crop, the mean difference to the trial without
overrides, and its 95 % interval (Student's t). The runs of a pair start from the same parameters
and read the same batches, so differences vary less than errors do.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from alexnet_jax.monitoring.provenance import describe_environment
from alexnet_jax.sweeps.statistics import average

Errors = dict[str, dict[int, float]]  # By trial without its seed, and by seed.


def read_errors(root: Path) -> tuple[str, Errors]:
    """Return the name of the baseline, and the errors of all trials that have a result."""
    errors: Errors = {}
    baseline = ""
    trials = [(path.parent, json.loads(path.read_text())) for path in root.glob("*/trial.json")]
    for workdir, trial in sorted(trials, key=lambda item: item[1]["position"]):
        if not trial["overrides"]:
            baseline = trial["group"]
        result = workdir / "result.json"
        if result.exists():
            error = json.loads(result.read_text())["center"]["top1_error"]
            errors.setdefault(trial["group"], {})[trial["seed"]] = error
    return baseline, errors


def compare(errors: Mapping[int, float], baseline: Mapping[int, float]) -> dict[str, Any]:
    """Return mean and deviation of the errors, and the mean difference with its interval."""
    gain = average([errors[seed] - baseline[seed] for seed in errors if seed in baseline])
    return {
        "seeds": gain.runs,
        "mean": mean(errors.values()),
        "standard_deviation": stdev(errors.values()),
        "difference": gain.value,
        "interval": [gain.low, gain.high],
    }


def main() -> None:
    """Compare the trials of one sweep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    baseline, errors = read_errors(arguments.workdir)
    rows = {name: compare(of_trial, errors[baseline]) for name, of_trial in errors.items()}
    for name, row in rows.items():
        low, high = row["interval"]
        print(
            f"{name:<20} n={row['seeds']} {row['mean']:.2%} ± {row['standard_deviation']:.2%}  "
            f"{100 * row['difference']:+.2f} ({100 * low:+.2f} to {100 * high:+.2f}) points"
        )
    if arguments.out:
        result = {
            "baseline": baseline,
            "trials": rows,
            "top1_errors": errors,
            "environment": describe_environment(),
        }
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
