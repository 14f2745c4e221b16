"""What each layout sends on 2 to 512 devices, read from the compiled programs: docs/scaling.md.

  python -m benchmarks.scaling --out=benchmarks/results/scaling.json

Nothing is timed, and no device but a CPU is needed. The network is `original`, with 128 images on
each device.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from alexnet_jax.monitoring.provenance import describe_environment

DEVICES = [2**power for power in range(1, 10)]
PER_MACHINE = 8
IMAGES_PER_DEVICE = 128


def main() -> None:
    """Compile and write, a number of devices at a time, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    result = describe_environment() | {"images_per_device": IMAGES_PER_DEVICE, "rows": {}}
    if out.exists():  # Of a run that was cut short.
        result["rows"] = json.loads(out.read_text())["rows"]
    for devices in DEVICES:
        if str(devices) not in result["rows"]:
            result["rows"][str(devices)] = estimate(devices)
            out.write_text(json.dumps(result, indent=2) + "\n")
    print("| devices | data | hybrid, all devices | hybrid in machines of 8 | columns | fsdp |")
    print("|---|---|---|---|---|---|")
    for devices in DEVICES:
        print(format_row(devices, result["rows"][str(devices)]))


def estimate(devices: int) -> list[dict[str, Any]]:
    """Return the rows of the doctor for so many devices."""
    doctor = [sys.executable, "-m", "alexnet_jax.doctor", "--config=imagenet", "--json"]
    options = [
        f"--devices={devices}",
        f"--devices_per_machine={PER_MACHINE}",
        f"--config.train.batch_size={IMAGES_PER_DEVICE * devices}",
    ]
    done = subprocess.run([*doctor, *options], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def format_row(devices: int, found: list[dict[str, Any]]) -> str:
    """Write what each layout sends and keeps, in megabytes."""
    cells = {
        (row["layout"], row["model_axis"]): (
            f"{sum((row['bytes_sent'] or {}).values()) / 1e6:.1f} / {row['bytes_kept'] / 1e6:.1f}"
        )
        for row in found
    }
    wanted = [("data", None), ("hybrid", devices), ("hybrid", PER_MACHINE), ("columns", 2)]
    listed = [cells.get(key, "–") for key in [*wanted, ("fsdp", devices)]]
    if devices == PER_MACHINE:
        listed[2] = "–"  # The same as over all devices.
    return f"| {devices} | {' | '.join(listed)} |"


if __name__ == "__main__":
    main()
