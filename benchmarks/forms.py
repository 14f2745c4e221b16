"""Whether the fast forms of the operations change the trained numbers: the demo with and without.

  python -m benchmarks.forms --out=benchmarks/results/forms_cpu.json

Needs `make demo` once, for the environment and the data. Run again, it continues with the runs that
the file lacks.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from alexnet_jax.monitoring.provenance import describe_environment

FORMS = ("fast", "plain")


def train(form: str, seed: int) -> dict[str, float]:
    """Train and evaluate the demo; returns its errors and its speed."""
    with tempfile.TemporaryDirectory() as workdir:
        command = [sys.executable, "-m", "alexnet_jax.main", "--config=configs/demo.py"]
        options = [
            f"--workdir={workdir}",
            f"--config.model.kernels={form}",
            f"--config.train.seed={seed}",
        ]
        subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
        result = json.loads(Path(workdir, "result.json").read_text())
    return {
        "center_top1_error": result["center"]["top1_error"],
        "center_loss": result["center"]["loss"],
        "ten_crop_top1_error": result["ten_crop"]["top1_error"],
        "images_per_second": result["images_per_second"],
    }


def main() -> None:
    """Run what is missing, the two forms in turn, and write after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", default="0,1,2")
    arguments = parser.parse_args()
    result = json.loads(arguments.out.read_text()) if arguments.out.exists() else {"runs": {}}
    for seed in map(int, arguments.seeds.split(",")):
        for form in FORMS:
            name = f"{form}_{seed}"
            if name in result["runs"]:
                continue
            result["runs"][name] = train(form, seed)
            result["environment"] = describe_environment()
            arguments.out.write_text(json.dumps(result, indent=2) + "\n")
            print(name, result["runs"][name], flush=True)


if __name__ == "__main__":
    main()
