"""How soon the page of `serve` answers, from the first image on.

  python -m benchmarks.serving --network=original --out=benchmarks/results/serving_cpu.json

Starts a server with freshly drawn parameters of a network and 1,000 classes, and sends it images of
500x375 pixels, one after another. No training images are looked at meanwhile.
"""

import argparse
import io
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from alexnet_jax.data.preprocessing import Preprocessing
from alexnet_jax.models import create_model
from alexnet_jax.monitoring.provenance import describe_environment
from alexnet_jax.weights import Bundle, write_workdir


def make_workdir(network: str, workdir: Path) -> None:
    """Write a workdir with freshly drawn parameters."""
    model = create_model(network)
    size = model.spec.crop_size
    variables = model.init(jax.random.key(0), jnp.zeros((1, size, size, 3)), train=False)
    gray = Preprocessing(np.full((256, 256, 3), 120, np.float32), np.ones(3, np.float32))
    names = [f"class {number}" for number in range(1000)]
    write_workdir(Bundle(network, variables["params"], gray, names, size), workdir)


def draw_photograph(seed: int) -> bytes:
    """Return a JPEG file of smooth noise."""
    small = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(small).resize((500, 375), Image.Resampling.BICUBIC).save(data, "jpeg")
    return data.getvalue()


def ask(address: str, image: bytes) -> float:
    """Return the seconds of one answer."""
    begin = time.perf_counter()
    with urllib.request.urlopen(f"{address}explain", data=image) as response:
        assert len(json.load(response)["crops"]) == 10
    return time.perf_counter() - begin


def main() -> None:
    """Start a server, ask, and write the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="original")
    parser.add_argument("--images", type=int, default=30)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_workdir(arguments.network, Path(folder) / "run")
        command = [sys.executable, "-m", "alexnet_jax.serve", f"--workdir={folder}/run", "--port=0"]
        begin = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            found = next(filter(None, (re.search(r"http://\S+", line) for line in server.stdout)))
            start = time.perf_counter() - begin
            try:
                times = [ask(found[0], draw_photograph(seed)) for seed in range(arguments.images)]
            finally:
                server.terminate()
    result = {
        "command": ["python", "-m", "benchmarks.serving", *sys.argv[1:]],
        "seconds_until_it_listens": start,
        "first_answer_seconds": times[0],
        "later_answers_seconds": {
            "median": statistics.median(times[1:]),
            "highest": max(times[1:]),
        },
        "environment": describe_environment(),
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({key: value for key, value in result.items() if key != "environment"}))


if __name__ == "__main__":
    main()
