"""PyTorch's side of `benchmarks.step`: the same layers, as its users write them.

`original` has no second norm in conv2, which PyTorch lacks, and one norm over all channels: a
little less work than ours.
"""

import contextlib
import json
import resource
import sys
import time
from typing import Any

import torch
from torch import nn

from benchmarks.answering import answer, time_calls


def build(network: str) -> tuple[nn.Module, int]:
    """Return a network of 1,000 classes and the side of its images."""
    if network == "owt":
        widths, groups, norm, padding, size = (64, 192, 384, 256, 256), 1, nn.Identity, 2, 224
    else:
        groups = {"original": 2, "single_tower": 1}[network]
        widths, padding, size = (96, 256, 384, 384, 256), 0, 227

        def norm() -> nn.Module:
            return nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0)

    one, two, three, four, five = widths
    features = [
        nn.Conv2d(3, one, 11, 4, padding), nn.ReLU(), norm(), nn.MaxPool2d(3, 2),
        nn.Conv2d(one, two, 5, padding=2, groups=groups), nn.ReLU(), norm(), nn.MaxPool2d(3, 2),
        nn.Conv2d(two, three, 3, padding=1), nn.ReLU(),
        nn.Conv2d(three, four, 3, padding=1, groups=groups), nn.ReLU(),
        nn.Conv2d(four, five, 3, padding=1, groups=groups), nn.ReLU(), nn.MaxPool2d(3, 2),
    ]  # fmt: skip
    dense = [nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout()]
    dense += [nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 1000)]
    return nn.Sequential(*features, nn.Flatten(), *dense), size


class Torch:
    """A network in training."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.device = {"cpu": "cpu", "gpu": "cuda"}[case["platform"]]
        self.dtype = getattr(torch, case["dtype"])
        form, batch = case["form"], case["batch"]
        module, size = build(case["network"])
        layout = torch.channels_last if "channels_last" in form else torch.contiguous_format
        module = module.to(self.device, memory_format=layout)
        images = 50 * torch.randn(batch, 3, size, size)
        self.images = images.to(self.device, memory_format=layout)
        self.labels = torch.randint(0, 1000, (batch,), device=self.device)
        fused = {"fused": True} if self.device == "cuda" else {}
        self.optimizer = torch.optim.SGD(
            module.parameters(), 1e-4, momentum=0.9, weight_decay=5e-4, **fused
        )
        self.module = torch.compile(module) if "compiled" in form else module
        self.loss = nn.CrossEntropyLoss()

    def _cast(self) -> Any:
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device, self.dtype)

    def _wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()

    def train(self) -> None:
        """Take one step and wait for it."""
        self.module.train()
        with self._cast():
            loss = self.loss(self.module(self.images), self.labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self._wait()

    def forward(self) -> None:
        """Compute logits and wait for them."""
        self.module.eval()
        with torch.inference_mode(), self._cast():
            self.module(self.images)
        self._wait()

    def memory(self) -> dict[str, Any]:
        """Return the peak so far in bytes: the device's, on CPUs the process's."""
        on_gpu = self.device == "cuda"
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        device = torch.cuda.max_memory_allocated() if on_gpu else None
        return {"device": device, "process": resident}

    def ceiling(self) -> dict[str, float]:
        """Return the rate of a large matrix product in the network's dtype."""
        rows, columns = (4096, 2048) if self.device == "cpu" else (8192, 8192)
        left = torch.full((rows, rows), 0.01, dtype=self.dtype, device=self.device)
        right = torch.full((rows, columns), 0.01, dtype=self.dtype, device=self.device)
        repeats = 1 if self.device == "cpu" else 10

        def multiply() -> None:
            for _ in range(repeats):
                left @ right
            self._wait()

        multiply()
        taken = time_calls(multiply, 5)["seconds"]
        return {"flops_per_second": 2 * rows * rows * columns * repeats / taken}


def main() -> None:
    """Serve one case, given as JSON."""
    begin = time.perf_counter()
    contender = Torch(json.loads(sys.argv[1]))
    built = time.perf_counter()
    contender.train()
    start = {
        "seconds_to_build": built - begin,
        "seconds_of_first_step": time.perf_counter() - built,
        "torch": torch.__version__,
    }
    contender.train()
    commands = {
        "train": lambda count: time_calls(contender.train, int(count)),
        "forward": lambda count: (contender.forward(), time_calls(contender.forward, int(count)))[
            1
        ],
        "memory": contender.memory,
        "ceiling": contender.ceiling,
    }
    answer(commands, start)


if __name__ == "__main__":
    main()
