"""Record the golden run and logits again and print what changed: `python -m tests.golden`.

Commit the files with the reason why the numbers moved. `--check` leaves them as they are, and fails
where a change is more than rounding.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import jax  # noqa: E402
from golden_logits import GOLDEN_LOGITS, logits_changes, logits_faults, record_logits  # noqa: E402
from golden_run import DEVICES, GOLDEN, changes, faults, record  # noqa: E402

from alexnet_jax.data.builders.preparation import Request, prepare_dataset  # noqa: E402


def main() -> int:
    """Return 1 if `--check` found something."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="leave the files as they are")
    parser.add_argument("--devices", type=int, default=DEVICES, help="CPU devices")
    arguments = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", arguments.devices)
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        prepare_dataset(Request("fractals/demo", data_dir, images_per_class=50))
        measured = record(data_dir, Path(folder) / "run")
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    for _, _, text in changes(golden, measured):
        print(text)
    logits = record_logits()
    golden_logits = json.loads(GOLDEN_LOGITS.read_text()) if GOLDEN_LOGITS.exists() else {}
    for text in logits_changes(golden_logits, logits):
        print(text)
    if not arguments.check:
        GOLDEN.write_text(json.dumps(measured, indent=1) + "\n")
        GOLDEN_LOGITS.write_text(json.dumps(logits, indent=1) + "\n")
        return 0
    wrong = faults(golden, measured) + logits_faults(golden_logits, logits)
    print(*wrong, f"{len(wrong)} changes are more than rounding", sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
