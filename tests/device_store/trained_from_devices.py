"""Train six steps from records and from the devices, in every layout on eight fake devices.

A process of its own, for its devices. Takes the data_dir, a folder for workdirs, and the layouts
with their model_axis by name. Prints JSON: by name, the hash of the parameters and the evaluated
counts and losses, by source.
"""

import json
import sys
from pathlib import Path

import jax

jax.config.update("jax_num_cpu_devices", 8)

from short_run import short_config  # noqa: E402

from alexnet_jax.runs.train import train_and_evaluate  # noqa: E402


def train(
    data_dir: str, workdir: Path, layout: tuple[str, int | None], source: str
) -> list[object]:
    config = short_config(data_dir)
    config.parallel.update(layout=layout[0], model_axis=layout[1])
    config.data.source = source
    config.train.batch_size = 16
    result = train_and_evaluate(config, workdir)
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    losses = [[line["kind"], line["step"], line["loss"]] for line in lines if "loss" in line]
    return [result["parameters_sha256"], losses]


if __name__ == "__main__":
    data_dir, folder, layouts = sys.argv[1:]
    results = {
        name: {
            source: train(data_dir, Path(folder) / f"{name}_{source}", layout, source)
            for source in ("records", "device")
        }
        for name, layout in json.loads(layouts).items()
    }
    print(json.dumps(results))
