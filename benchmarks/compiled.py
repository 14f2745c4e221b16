"""What a chip's compiler says that the training step costs; no chip is needed.

  python -m benchmarks.compiled --chip=tpu --topology=v5e:2x2 --network=original --batch=512 --json
  python -m benchmarks.compiled --check
  python -m benchmarks.compiled --check --update

--batch counts the images of all chips. Needs libtpu (pip install "jax[tpu]") or CUDA's plugin (pip
install "jax[cuda13]"). --check compiles the rows of benchmarks/ceilings.json whose compiler is
installed, or those of --network, and fails where one costs more than its ceiling; --update writes
what they cost now.
"""

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

from alexnet_jax.config import default_config
from alexnet_jax.diagnosis.chip_report import describe_cost, format_cost
from alexnet_jax.diagnosis.chips import CHIPS, Chip, find_chip, has_compiler
from alexnet_jax.diagnosis.compiled_step import Operation, StepCost, compile_for
from alexnet_jax.errors import UserError

CEILINGS = Path(__file__).with_name("ceilings.json")
COSTS = ("cycles", "kernels", "bytes", "temporary_bytes")
ROUNDING = 1.005  # What a compiler's estimate may differ by from the ceiling.


def measure(
    chip: str, network: str, dtype: str, batch: int, layout: str = "data", topology: str = ""
) -> tuple[dict[str, Any], StepCost]:
    """Compile the step of the default recipe with another network; see `describe_cost`."""
    config = default_config()
    config.model.update(name=network, dtype=dtype)
    config.train.batch_size, config.parallel.layout = batch, layout
    cost = compile_for(config, CHIPS[chip], topology)
    return describe_cost(cost, CHIPS[chip], network, dtype, layout), cost


def check(rows: list[dict[str, Any]], networks: list[str], update: bool) -> list[str]:
    """Return what costs more than its ceiling, in words; with `update`, change the rows instead.

    Raises:
        UserError: there is nothing to compile.
    """
    wanted = [row for row in rows if not networks or row["network"] in networks]
    compiled = [row for row in wanted if has_compiler(CHIPS[row["chip"]])]
    if not compiled:
        raise UserError(
            "nothing was checked: no row of benchmarks/ceilings.json has such a network"
            if not wanted
            else 'nothing was checked: no compiler is installed; pip install "jax[tpu]"'
        )
    print(f"{len(compiled)} of {len(rows)} rows", flush=True)
    for row in wanted:
        if row not in compiled:
            print(f"{_name(row)}: not checked, no compiler of {row['chip']} is installed")
    dearer = []
    for row in compiled:
        found, _ = measure(row["chip"], row["network"], row["dtype"], row["batch"])
        costs = {name: found[name] for name in COSTS if name in found}
        print(f"{_name(row)}: {costs}", flush=True)
        if update:
            row |= costs | {"versions": found["versions"]}
            continue
        dearer += [
            f"{_name(row)}: {costs[name]:,} {name}, ceiling {row.get(name, 0):,}; find what made "
            "it more expensive, or --check --update"
            for name in costs
            if costs[name] > ROUNDING * row.get(name, 0)
        ]
    return dearer


def _name(row: dict[str, Any]) -> str:
    return f"{row['chip']} {row['network']} {row['dtype']}"


def main() -> int:
    """Print the cost of a step, or check those that have a ceiling; 1 if one is more expensive."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chip", default="tpu", help=f"tpu, gpu, {', '.join(CHIPS)}")
    parser.add_argument("--topology", default="", help="v5e:2x2; of GPUs 2x1x1")
    parser.add_argument("--network", action="append", help="original; with --check any number")
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"))
    parser.add_argument("--batch", type=int, default=512, help="images of a step, of all chips")
    parser.add_argument("--layout", default="data")
    parser.add_argument("--operations", type=int, default=10, help="how many to list")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--update", action="store_true")
    arguments = parser.parse_args()
    try:
        return check_all(arguments) if arguments.check else show(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def check_all(arguments: argparse.Namespace) -> int:
    """Check the ceilings, or rewrite them."""
    rows = json.loads(CEILINGS.read_text())
    dearer = check(rows, arguments.network or [], arguments.update)
    if arguments.update:
        CEILINGS.write_text(json.dumps(rows, indent=1) + "\n")
    for line in dearer:
        print(line, file=sys.stderr)
    return 1 if dearer else 0


def show(arguments: argparse.Namespace) -> int:
    """Print the cost of one step."""
    # "tpu" is the kind that the topology names: "v6e:2x2".
    kind = arguments.topology.partition(":")[0]
    chip = find_chip(kind if arguments.chip == "tpu" and kind else arguments.chip)
    found, cost = measure(
        chip.name, (arguments.network or ["original"])[-1], arguments.dtype, arguments.batch,
        arguments.layout, arguments.topology,
    )  # fmt: skip
    if arguments.json:
        print(json.dumps(found))
        return 0
    print(format_cost(found, chip))
    if arguments.operations:
        print("\n" + format_operations(cost, chip, arguments.operations))
    return 0


def format_operations(cost: StepCost, chip: Chip, most: int) -> str:
    """Format the most expensive operations, by cycles on TPUs and by bytes on GPUs.

    On TPUs each has the cycles that its bytes alone would take, and those without an estimate
    follow.
    """
    if chip.platform != "tpu":
        rows = [f"{each.bytes:>12,}  {each.text}" for each in cost.operations[:most]]
        return "\n".join(["the most expensive by bytes:", *rows])

    def row(each: Operation) -> str:
        least = each.bytes / chip.bandwidth * chip.clock / 1e6 if chip.clock else math.nan
        return f"{each.cycles / 1e6:9.3f} {each.bytes / 1e6:9.1f} {least:9.3f}  {each.text}"

    estimated = [each for each in cost.operations if each.cycles][:most]
    others = [each for each in cost.operations if not each.cycles]
    return "\n".join(
        [
            " M cycles        MB  of those  the most expensive",
            *map(row, estimated),
            *(["without an estimate:"] if others else []),
            *map(row, others),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
