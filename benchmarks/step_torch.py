"""PyTorch's side of `benchmarks.step`: the same layers, as its users write them.

`original` has no second norm in conv2, which PyTorch lacks, and one norm over all channels: a
little less work than ours.
"""

import contextlib
import json
import resource
import sys
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmarks.answering import answer, time_calls


@dataclass(frozen=True)
class Shape:
    """Where the networks differ."""

    widths: tuple[int, ...] = (96, 256, 384, 384, 256)
    groups: int = 1
    normalized: bool = True
    stride: int = 4
    padding: int = 0
    size: int = 227
    hidden: int = 4096


SHAPES = {
    "original": Shape(groups=2),
    "single_tower": Shape(),
    "owt": Shape((64, 192, 384, 256, 256), normalized=False, padding=2, size=224),
    "tiny": Shape((12, 32, 48, 48, 32), groups=2, stride=2, size=81, hidden=256),
}


def build(shape: Shape) -> nn.Module:
    """Return a network of 1,000 classes."""
    one, two, three, four, five = shape.widths

    def norm() -> nn.Module:
        return nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0) if shape.normalized else nn.Identity()

    def convolution(inputs: int, outputs: int, window: int, groups: int = 1) -> nn.Module:
        return nn.Conv2d(inputs, outputs, window, padding=window // 2, groups=groups)

    features = nn.Sequential(
        nn.Conv2d(3, one, 11, shape.stride, shape.padding), nn.ReLU(), norm(), nn.MaxPool2d(3, 2),
        convolution(one, two, 5, shape.groups), nn.ReLU(), norm(), nn.MaxPool2d(3, 2),
        convolution(two, three, 3), nn.ReLU(),
        convolution(three, four, 3, shape.groups), nn.ReLU(),
        convolution(four, five, 3, shape.groups), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten(),
    )  # fmt: skip
    inputs = features(torch.zeros(1, 3, shape.size, shape.size)).numel()
    dense = [nn.Linear(inputs, shape.hidden), nn.ReLU(), nn.Dropout()]
    dense += [nn.Linear(shape.hidden, shape.hidden), nn.ReLU(), nn.Dropout()]
    return nn.Sequential(*features, *dense, nn.Linear(shape.hidden, 1000))


class Torch:
    """A network in training."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.device = {"cpu": "cpu", "gpu": "cuda"}[case["platform"]]
        self.dtype = getattr(torch, case["dtype"])
        self.ceiling_rows = case["ceiling_rows"]
        form, batch = case["form"], case["batch"]
        shape = SHAPES[case["network"]]
        module, size = build(shape), shape.size
        layout = torch.channels_last if "channels_last" in form else torch.contiguous_format
        module = module.to(self.device, memory_format=layout)
        images = 50 * torch.randn(batch, 3, size, size)
        self.images = images.to(self.device, memory_format=layout)
        self.labels = torch.randint(0, 1000, (batch,), device=self.device)
        torch.backends.cudnn.benchmark = True
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
        rows = self.ceiling_rows
        columns, repeats = (rows // 2, 1) if self.device == "cpu" else (rows, 10)
        left = torch.full((rows, rows), 0.01, dtype=self.dtype, device=self.device)
        right = torch.full((rows, columns), 0.01, dtype=self.dtype, device=self.device)

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
        "forward": lambda count: time_calls(contender.forward, int(count)),
        "memory": contender.memory,
        "ceiling": contender.ceiling,
    }
    answer(commands, start)


if __name__ == "__main__":
    main()
