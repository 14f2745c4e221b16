"""Our side of `benchmarks.step`: one network, trained on a batch that stays on the device."""

import json
import resource
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from alexnet_jax.diagnosis.flops import training_flops
from alexnet_jax.layer_table import describe_layers
from alexnet_jax.models import create_model
from alexnet_jax.parallel.mesh import make_data_mesh, to_devices
from alexnet_jax.parallel.runtime import compile_and_tidy, configure_jax
from alexnet_jax.system.process import restart_with_huge_pages
from alexnet_jax.training.optimizer import krizhevsky_sgd
from alexnet_jax.training.state import abstract_state, create_state
from alexnet_jax.training.step import make_train_step
from benchmarks.answering import answer, time_calls


@dataclass(frozen=True)
class Untouched:
    """No augmentation, as on PyTorch's side."""

    crop_size: int

    def __call__(self, key: jax.Array, images: jax.Array, step: jax.Array) -> jax.Array:
        """Return the images."""
        return images


class Ours:
    """A network in training."""

    def __init__(self, case: dict[str, Any]) -> None:
        if jax.default_backend() != case["platform"]:
            raise RuntimeError(f"asked for {case['platform']}, JAX found {jax.default_backend()}")
        self.dtype, batch = jnp.dtype(case["dtype"]), case["batch"]
        self.ceiling_rows = case["ceiling_rows"]
        kernels = "plain" if case.get("form") == "ours_plain" else "fast"
        model = create_model(case["network"], dtype=self.dtype, kernels=kernels)
        self.crop_size = model.spec.crop_size if case.get("size") is None else case["size"]
        mesh = make_data_mesh(jax.devices()[:1])
        optimizer = krizhevsky_sgd(1e-4, 0.9, 0.0005, 2.0)
        rng = np.random.default_rng(0)
        shape = (batch, self.crop_size, self.crop_size, 3)
        rows = {
            "image": rng.normal(0, 50, shape).astype(np.float32),
            "label": rng.integers(0, 1000, batch).astype(np.int32),
        }
        self.batch = to_devices(rows, mesh)
        described = abstract_state(model, optimizer, self.crop_size, mesh)
        self.state = create_state(model, optimizer, self.crop_size, 0, mesh, described)
        self._jitted = make_train_step(
            model,
            optimizer,
            lambda step: 1e-4,
            Untouched(self.crop_size),
            seed=0,
            mesh=mesh,
            described=described,
            plateau_factor=0.1,
        )
        self._forward = jax.jit(
            lambda params, images: model.apply({"params": params}, images, train=False)
        )
        self.multiply_adds = training_flops(describe_layers(model, self.crop_size)) // 2

    def compile(self) -> None:
        """Compile the step as the training loop does."""
        self._step = compile_and_tidy(self._jitted.lower(self.state, self.batch))

    def train(self) -> None:
        """Take one step and wait for it."""
        self.state, metrics = self._step(self.state, self.batch)
        jax.block_until_ready((self.state, metrics))

    def forward(self) -> None:
        """Compute logits and wait for them."""
        jax.block_until_ready(self._forward(self.state.params, self.batch["image"]))

    def memory(self) -> dict[str, Any]:
        """Return the peak so far in bytes: the device's, on CPUs the process's."""
        stats = jax.devices()[0].memory_stats() or {}
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return {"device": stats.get("peak_bytes_in_use"), "process": resident}

    def ceiling(self) -> dict[str, float]:
        """Return the rate of a large matrix product in the network's dtype."""
        rows = self.ceiling_rows
        columns, repeats = (rows // 2, 1) if jax.default_backend() == "cpu" else (rows, 10)
        left = jnp.full((rows, rows), 0.01, self.dtype)
        right = jnp.full((rows, columns), 0.01, self.dtype)

        @jax.jit
        def multiply(right: jax.Array) -> jax.Array:
            for _ in range(repeats):
                # For float32 results XLA also uses the matrix units of CPUs.
                right = jnp.matmul(left, right, preferred_element_type=jnp.float32).astype(
                    self.dtype
                )
            return right

        multiply(right).block_until_ready()
        taken = time_calls(lambda: multiply(right).block_until_ready(), 5)["seconds"]
        return {"flops_per_second": 2 * rows * rows * columns * repeats / taken}

    def trace(self) -> dict[str, Any]:
        """Return the milliseconds and calls, in one step, of its five longest kernels."""
        with tempfile.TemporaryDirectory() as folder:
            with jax.profiler.trace(folder):
                self.train()
            (file,) = Path(folder).rglob("*.xplane.pb")
            profile = jax.profiler.ProfileData.from_file(str(file))
        milliseconds: Counter[str] = Counter()
        calls: Counter[str] = Counter()
        for plane in profile.planes:
            for line in plane.lines:
                for event in line.events:
                    if is_kernel(plane.name, line.name, dict(event.stats)):
                        milliseconds[event.name] += event.duration_ns / 1e6  # type: ignore[assignment]
                        calls[event.name] += 1
        longest = milliseconds.most_common(5)
        return {name: {"milliseconds": spent, "calls": calls[name]} for name, spent in longest}


def is_kernel(plane: str, line: str, stats: dict[str, Any]) -> bool:
    """Tell a kernel of the device from what the host did to start it."""
    if plane.startswith("/device:GPU"):
        return line.startswith("Stream")
    # A loop's own event holds those of its body.
    return jax.default_backend() == "cpu" and "while" not in stats.get("hlo_op", "while")


def main() -> None:
    """Serve one case, given as JSON."""
    restart_with_huge_pages()  # As the command does.
    begin = time.perf_counter()
    case = json.loads(sys.argv[1])
    configure_jax()
    ours = Ours(case)
    built = time.perf_counter()
    ours.compile()
    ours.train()
    start = {
        "seconds_to_build": built - begin,
        "seconds_of_first_step": time.perf_counter() - built,
        "training_multiply_adds": ours.multiply_adds,
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
    }
    ours.train()
    commands = {
        "train": lambda count: time_calls(ours.train, int(count)),
        "forward": lambda count: time_calls(ours.forward, int(count)),
        "memory": ours.memory,
        "ceiling": ours.ceiling,
        "trace": ours.trace,
    }
    answer(commands, start)


if __name__ == "__main__":
    main()
