"""Train six steps from records and from the devices, in every layout on eight fake devices.

A process of its own, for its devices. Takes the data_dir and a folder for the workdirs. Prints
JSON: by layout, the hash of the parameters and the evaluated counts and losses, by source.
"""

import json
import sys
from pathlib import Path

import jax

jax.config.update("jax_num_cpu_devices", 8)

from short_run import short_config  # noqa: E402

from alexnet_jax.training.loop import train_and_evaluate  # noqa: E402

LAYOUTS = {
    "data": ("data", None),
    "hybrid": ("hybrid", 8),
    "hybrid_of_two_rows": ("hybrid", 4),
    "columns": ("columns", 2),
    "fsdp": ("fsdp", 8),
}


def train(
    data_dir: str, workdir: Path, layout: tuple[str, int | None], source: str
) -> list[object]:
    config = short_config(data_dir)
    config.parallel.update(layout=layout[0], model_axis=layout[1])
    config.data.source = source
    result = train_and_evaluate(config, workdir)
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    losses = [[line["kind"], line["step"], line["loss"]] for line in lines if "loss" in line]
    return [result["parameters_sha256"], losses]


if __name__ == "__main__":
    data_dir, folder, *names = sys.argv[1:]
    results = {
        name: {
            source: train(data_dir, Path(folder) / f"{name}_{source}", LAYOUTS[name], source)
            for source in ("records", "device")
        }
        for name in names or LAYOUTS
    }
    print(json.dumps(results))
