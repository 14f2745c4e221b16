"""What each layout sends on 2 to 512 devices, read from the compiled programs: docs/scaling.md.

  python -m benchmarks.scaling --out=benchmarks/results/scaling.json

Nothing is timed, and no device but a CPU is needed. The network is `original`, with 128 images on
each device.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from alexnet_jax.diagnosis.scaling import CommunicationEstimate, estimate_communication
from alexnet_jax.training.provenance import describe_environment
from configs.imagenet import get_config

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
            config = get_config()
            config.train.batch_size = IMAGES_PER_DEVICE * devices
            found = estimate_communication(config, devices, PER_MACHINE)
            result["rows"][str(devices)] = [asdict(row) for row in found]
            out.write_text(json.dumps(result, indent=2) + "\n")
    print("| devices | data | hybrid, all devices | hybrid in machines of 8 | columns | sharded |")
    print("|---|---|---|---|---|---|")
    for devices in DEVICES:
        rows = [CommunicationEstimate(**values) for values in result["rows"][str(devices)]]
        print(format_row(devices, rows))


def format_row(devices: int, found: list[CommunicationEstimate]) -> str:
    """Write what each layout sends and keeps, in megabytes."""
    cells = {
        (row.layout, row.model_axis): f"{row.total_sent / 1e6:.1f} / {row.bytes_kept / 1e6:.1f}"
        for row in found
    }
    wanted = [("data", None), ("hybrid", devices), ("hybrid", PER_MACHINE), ("columns", 2)]
    listed = [cells.get(key, "–") for key in [*wanted, ("fsdp", devices)]]
    if devices == PER_MACHINE:
        listed[2] = "–"  # The same as over all devices.
    return f"| {devices} | {' | '.join(listed)} |"


if __name__ == "__main__":
    main()
