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
import os
import re
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path

os.environ.update(
    TPU_SKIP_MDS_QUERY="1",
    JAX_PLATFORMS="cpu",
    TPU_ACCELERATOR_TYPE="v5litepod-4",
    TPU_WORKER_HOSTNAMES="localhost",
)
os.environ.setdefault("XLA_FLAGS", "--xla_gpu_autotune_level=0")

import numpy as np
from jax.experimental import topologies

from alexnet_jax.data.statistics import Statistics
from alexnet_jax.models import PRECISIONS, find_spec
from alexnet_jax.parallel.mesh import make_data_mesh
from alexnet_jax.training.experiment import make_experiment
from alexnet_jax.training.recipe import make_preprocessing
from alexnet_jax.training.step import describe_batch
from configs import imagenet

H100 = Path(__file__).with_name("h100.txtpb")
COMPILERS = {"tpu": "libtpu", "gpu": "jax-cuda13-plugin"}
BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f32": 4, "s32": 4, "u32": 4, "s64": 8}


def find_devices(chip: str) -> list:
    """Return one chip of a kind, as its compiler knows it."""
    if chip == "tpu":
        return topologies.get_topology_desc("v5e:2x2", platform="tpu").devices[:1]
    described = topologies.get_topology_desc(
        "h100", "cuda", target_config=H100.read_text(), topology="1x1x1"
    )
    return described.devices


def compile_step(devices: list, network: str, batch_size: int, dtype: str, precision: str):
    """Compile a training step of configs/imagenet.py with another network."""
    config = imagenet.get_config()
    config.model.update(name=network, dtype=dtype, precision=precision)
    crop = find_spec(network).crop_size
    config.data.update(crop_size=crop, image_size=crop + 32)
    config.train.batch_size = batch_size
    side = crop + 32
    grey = Statistics(np.zeros((side, side, 3), np.float32), np.eye(3), np.ones(3), 1)
    mesh = make_data_mesh(devices)
    preprocessing = make_preprocessing(config, grey)
    experiment = make_experiment(config, mesh, grey, 1000 * batch_size, preprocessing)
    batch = describe_batch(batch_size, side, mesh)
    return experiment.train_step.lower(experiment.network.abstract_state, batch).compile()


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


def cost(compiled, text: str, chip: str) -> dict:
    """Return cycles and bytes on a TPU, kernels and bytes on a GPU."""
    temporary = compiled.memory_analysis().temp_size_in_bytes
    if chip == "tpu":
        cycles = sum(map(int, re.findall(r'"estimated_cycles":"(\d+)"', text)))
        moved = (compiled.cost_analysis() or {}).get("bytes accessed")
        return {"cycles": cycles, "bytes": moved, "temporary_bytes": temporary}
    entry = text[text.index("\nENTRY") :].splitlines()[1:]
    shapes: dict[str, int] = {}
    kernels = total = 0
    for line in entry:
        found = re.match(r"\s*(?:ROOT )?%?([\w.\-]+) = (\([^=]*?\)|\S+) ([\w\-]+)\(([^)]*)", line)
        if not found:
            continue
        name, shape, kind, arguments = found.groups()
        shapes[name] = size(shape)
        if kind in ("parameter", "get-tuple-element", "tuple", "bitcast", "constant"):
            continue
        inputs = [a.strip().split(" ")[-1].lstrip("%") for a in arguments.split(",")]
        kernels += 1
        total += shapes[name] + sum(shapes.get(i, 0) for i in inputs)
    return {"kernels": kernels, "bytes": total, "temporary_bytes": temporary}


def size(shape: str) -> int:
    """Return the bytes of a shape as HLO writes it, tuples included."""
    return sum(
        BYTES.get(kind, 4) * int(np.prod([int(n) for n in sides.split(",") if n] or [1]))
        for kind, sides in re.findall(r"\b(pred|[subf]+\d+)\[([\d,]*)\]", shape)
    )


def main() -> int:
    """Return 1 where a product of a float32 step is not in float32."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chip", choices=("tpu", "gpu"))
    parser.add_argument("network")
    parser.add_argument("batch_size", type=int)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", type=Path, help="a folder for the compiled programs' text")
    arguments = parser.parse_args()
    devices, rounded = find_devices(arguments.chip), {}
    results: dict = {
        "command": f"python -m benchmarks.precision {' '.join(sys.argv[1:])}",
        "chip": devices[0].device_kind,
        "versions": {name: version(name) for name in ("jax", COMPILERS[arguments.chip])},
    }
    for dtype, precision in [*(("float32", name) for name in PRECISIONS), ("bfloat16", "float32")]:
        compiled = compile_step(devices, arguments.network, arguments.batch_size, dtype, precision)
        text = compiled.as_text()
        case = dtype if dtype == "bfloat16" else f"{dtype}, {precision}"
        if arguments.keep:
            (arguments.keep / f"{arguments.chip}_{dtype}_{precision}.hlo").write_text(text)
        kinds = products(text, arguments.chip)
        results[case] = cost(compiled, text, arguments.chip) | {"products": dict(kinds)}
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
