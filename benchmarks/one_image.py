"""How long the forward pass of one image takes: ours, PyTorch's, ONNX Runtime's and OpenVINO's.

  python -m benchmarks.one_image --out=benchmarks/results/one_image_cpu.json

All are asked in turn, each in a process of its own that stays up, with weights of its own drawing.
Beside requirements-peers.txt it needs `pip install onnx onnxscript onnxruntime openvino`.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.step import CONTENDERS, Contender, describe_machine


def measure(network: str, names: list[str], turns: int, calls: int) -> dict[str, Any]:
    """Return the milliseconds of each contender's turns, and our ratio to the fastest peer."""
    case = {"network": network, "batch": 1, "platform": "cpu", "dtype": "float32"}
    case["ceiling_rows"] = 64  # Not asked for.
    contenders = [Contender(name, case) for name in names]
    milliseconds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for _ in range(turns):
        for contender in contenders:
            seconds = contender.ask("forward", calls)["seconds"]
            milliseconds[contender.name].append(1e3 * seconds)
    for contender in contenders:
        contender.stop()
    medians = {name: statistics.median(turns) for name, turns in milliseconds.items()}
    best = min((name for name in medians if name != "ours"), key=lambda name: medians[name])
    pairs = zip(milliseconds[best], milliseconds["ours"], strict=True)
    return {
        "start": {contender.name: contender.start for contender in contenders},
        "milliseconds": milliseconds,
        "medians": medians,
        "fastest_peer": best,
        "ratio": statistics.median(peer / own for peer, own in pairs),
    }


def main() -> None:
    """Measure every network that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--networks", default="original,single_tower,owt")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--calls", type=int, default=30, help="a turn, after one not timed")
    parser.add_argument(
        "--contenders", default=",".join([*CONTENDERS["cpu"], "onnxruntime", "openvino"])
    )
    arguments = parser.parse_args()
    result: dict[str, Any] = {
        "machine": describe_machine(),
        "command": ["python", "-m", "benchmarks.one_image", *sys.argv[1:]],
    }
    for network in arguments.networks.split(","):
        names = arguments.contenders.split(",")
        result[network] = measure(network, names, arguments.turns, arguments.calls)
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")
        shown = {key: result[network][key] for key in ("medians", "fastest_peer", "ratio")}
        print(network, json.dumps(shown), flush=True)


if __name__ == "__main__":
    main()
