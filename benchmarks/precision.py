"""What `model.precision` becomes on a chip, and what it costs: from the chip's own compiler.

    python -m benchmarks.precision tpu tiny 32 --out=benchmarks/results/precision_tpu_tiny.json
    python -m benchmarks.precision gpu original 128

No chip is needed. `tpu` needs pip install "jax[tpu]==0.10.2" and compiles for a v5e, `gpu` needs
"jax[cuda13]==0.10.2" and compiles for an H100, each in an environment of its own. It fails where
a float32 step has a product that the chip would round. Cycles are XLA's estimate for a v5e; bytes
of a GPU are the shapes that its kernels read and write. Neither is a measured time.
"""

import argparse
import json
import re
import sys
from collections import Counter
from pathlib import Path

from alexnet_jax.diagnosis.chips import compiler_versions, describe_devices, find_chip
from alexnet_jax.diagnosis.compiled_step import compile_step, read_cost
from alexnet_jax.models import PRECISIONS, find_spec
from alexnet_jax.training.experiment import Experiment, build_without_data
from configs import imagenet


def build(devices: list, network: str, batch_size: int, dtype: str, precision: str) -> Experiment:
    """Return the parts of configs/imagenet.py with another network."""
    config = imagenet.get_config()
    config.model.update(name=network, dtype=dtype, precision=precision)
    crop = find_spec(network).crop_size
    config.data.update(crop_size=crop, image_size=crop + 32)
    config.train.batch_size = batch_size
    return build_without_data(config, devices)


def products(text: str, chip: str) -> Counter:
    """Count the compiled program's products by how they treat float32 operands."""
    kinds: Counter = Counter()
    for line in text.splitlines():
        if chip == "tpu":
            product = re.search(r" (?:convolution|dot)\(", line)
            name = re.search(r"operand_precision=\{(\w+),(\w+)", line)
            kind = name[1] if name else "default"
        else:
            product = re.search(r"__cublas|__cudnn| dot\(", line)  # Triton's are around a dot.
            setting = re.search(r'"operand_precision":\["(\w+)","(\w+)"\]', line)
            name = re.search(r"operand_precision=\{(\w+),(\w+)", line)
            found = setting or name
            kind = found[1].lower() if found else "default"
        if product:
            kinds[kind] += 1
    return kinds


def main() -> int:
    """Return 1 where a product of a float32 step is not in float32."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chip", choices=("tpu", "gpu"))
    parser.add_argument("network")
    parser.add_argument("batch_size", type=int)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", type=Path, help="a folder for the compiled programs' text")
    arguments = parser.parse_args()
    chip, rounded = find_chip(arguments.chip), {}
    devices = list(describe_devices(chip, chip.topology))[:1]
    results: dict = {
        "command": f"python -m benchmarks.precision {' '.join(sys.argv[1:])}",
        "chip": devices[0].device_kind,
        "versions": compiler_versions(chip),
    }
    for dtype, precision in [*(("float32", name) for name in PRECISIONS), ("bfloat16", "float32")]:
        experiment = build(devices, arguments.network, arguments.batch_size, dtype, precision)
        compiled = compile_step(experiment)
        text, found = compiled.as_text(), read_cost(compiled, experiment, chip)
        case = dtype if dtype == "bfloat16" else f"{dtype}, {precision}"
        if arguments.keep:
            (arguments.keep / f"{arguments.chip}_{dtype}_{precision}.hlo").write_text(text)
        kinds = products(text, arguments.chip)
        count = {"cycles": found.cycles} if found.cycles else {"kernels": found.kernels}
        results[case] = count | {
            "bytes": found.bytes,
            "temporary_bytes": found.temporary_bytes,
            "products": dict(kinds),
        }
        print(case, results[case], flush=True)
        if dtype == "float32" and precision == "float32":
            rounded = {kind: n for kind, n in kinds.items() if kind != "highest"}
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")
    if rounded:
        print(f"products of a float32 step that are not in float32: {rounded}", file=sys.stderr)
    return 1 if rounded else 0


if __name__ == "__main__":
    sys.exit(main())
