import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

BLOCKED = (
    "array_record",
    "grain",
    "ml_collections",
    "orbax",
    "tensorboardX",
    "tensorflow_datasets",
)
BARE = f"""
import sys
for name in {BLOCKED}:
    sys.modules[name] = None
from benchmarks.step_ours import main
main()
"""
CASE = {
    "network": "tiny",
    "batch": 4,
    "platform": "cpu",
    "dtype": "bfloat16",
    "form": "ours",
    "ceiling_rows": 512,
}


def test_our_side_needs_jax_flax_optax_and_numpy_alone():
    """And answers every command: the way that a GPU is measured, on a small network."""
    done = subprocess.run(
        [sys.executable, "-c", BARE, json.dumps(CASE)],
        input="train 1\nforward 1\nmemory\nceiling\ntrace\ntrain x\n",
        capture_output=True,
        text=True,
        check=True,
    )
    start, train, forward, memory, ceiling, trace, wrong = map(json.loads, done.stdout.splitlines())
    assert start["training_multiply_adds"] > 0
    assert train["seconds"] > 0
    assert forward["seconds"] > 0
    assert memory["process"] > 2**20
    assert ceiling["flops_per_second"] > 1e8
    assert len(trace) == 5
    assert all(kernel["milliseconds"] > 0 for kernel in trace.values())
    assert "ValueError" in wrong["error"]


def test_pytorch_is_measured_in_turn(tmp_path):
    pytest.importorskip("torch", reason="`make test-peers` installs torch")
    command = [
        *(sys.executable, "-m", "benchmarks.step", f"--out={tmp_path}", "--networks=tiny"),
        *("--batches=2", "--contenders=ours,torch_channels_last", "--turns=2", "--steps=1"),
        "--ceiling_rows=512",
    ]
    subprocess.run(command, check=True, capture_output=True)
    (file,) = tmp_path.iterdir()
    result = json.loads(file.read_text())
    assert file.name == "step_cpu_float32_tiny_2.json"
    assert len(result["contenders"]["ours"]["train_seconds"]) == 2
    assert result["summary"]["ours"]["train"]["best_peer"] == "torch_channels_last"
    assert result["summary"]["ours"]["forward"]["ratio"] > 0
