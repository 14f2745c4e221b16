"""The networks once more, in PyTorch, written from the 2012 sources and not from our tables.

Layers with parameters bear the names of ours (conv1, fc6, ...). The sources: the paper's §3, the
2012 code's layers-145.cfg, -145-half.cfg and -146-2012-2011.cfg, Caffe's deploy.prototxt files.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn


class ColumnNorm(nn.Module):
    """PyTorch's normalization in each of two columns, as two GPUs did it."""

    def __init__(self, norm: nn.LocalResponseNorm):
        super().__init__()
        self.norm = norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.norm(column) for column in x.chunk(2, dim=1)], dim=1)


class SpatialNorm(nn.Module):
    """cnorm2 of the 2012 code: the mean of squares over 5x5 pixels, zeros outside the map."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = nn.functional.avg_pool2d(x * x, 5, stride=1, padding=2, count_include_pad=True)
        return x / (1 + 0.001 * mean) ** 0.75


class Dropout(nn.Module):
    """Dropout whose mask is set from outside; `kept` is 0 or 1 for each unit."""

    def __init__(self, inverted: bool):
        super().__init__()
        self.inverted = inverted
        self.kept: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return x if self.inverted else x * 0.5
        assert self.kept is not None
        return x * self.kept * (2.0 if self.inverted else 1.0)


def _pool() -> nn.Module:
    return nn.MaxPool2d(3, stride=2)


def _norm(k: float, alpha: float) -> nn.LocalResponseNorm:
    """PyTorch divides alpha by the window's size, as the code of 2012 did."""
    return nn.LocalResponseNorm(5, alpha=alpha, beta=0.75, k=k)


def _number(layers: list[nn.Module]) -> nn.Sequential:
    """Name the layers with parameters conv1, conv2, ..., fc6, ... and the rest by their place."""
    network = nn.Sequential()
    learned = 0
    for place, layer in enumerate(layers):
        kind = {nn.Conv2d: "conv", nn.Linear: "fc"}.get(type(layer))
        learned += kind is not None
        name = f"{kind}{learned}" if kind else f"op{place}"
        network.add_module(f"conv{learned}_norm" if type(layer) is nn.BatchNorm2d else name, layer)
    return network


def _classifier(inputs: int, width: int, classes: int, inverted: bool) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Flatten()]
    for size in (inputs, width):
        layers += [nn.Linear(size, width), nn.ReLU(), Dropout(inverted)]
    return [*layers, nn.Linear(width, classes)]


def _code_of_2012(
    classes: int,
    widths: tuple[int, ...] = (96, 256, 384, 384, 256),
    groups: int = 2,
    columns: int = 2,
    first: tuple[nn.Module, nn.Module] | None = None,
    sixth: bool = False,
    maps: int = 6,
    dense: int = 4096,
) -> nn.Sequential:
    """Run 145: conv1 is linear, normalized, pooled, then rectified; two norms after conv2."""
    one, two, three, four, five = widths
    # The convolution's last window hangs 3 pixels over: 1 + ceil((224 - 11) / 4) = 55.
    hanging, conv1 = first or (nn.ZeroPad2d((0, 3, 0, 3)), nn.Conv2d(3, one, 11, stride=4))

    def norm() -> nn.Module:
        within = _norm(k=2.0, alpha=1e-4)
        return ColumnNorm(within) if columns == 2 else within

    layers: list[nn.Module] = [
        *(hanging, conv1, norm(), _pool(), nn.ReLU()),
        *(nn.Conv2d(one, two, 5, padding=2, groups=groups), nn.ReLU()),
        *(norm(), SpatialNorm(), _pool()),
        *(nn.Conv2d(two, three, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(three, four, 3, padding=1, groups=groups), nn.ReLU()),
        *(nn.Conv2d(four, five, 3, padding=1, groups=groups), _pool(), nn.ReLU()),
    ]
    if sixth:
        layers += [nn.Conv2d(five, five, 3, padding=1), nn.ReLU()]
    return _number(layers + _classifier(maps * maps * five, dense, classes, inverted=False))


def _tiny(classes: int) -> nn.Sequential:
    """Our own: an eighth of the kernels, stride 2, for crops of 80 pixels."""
    first = nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 12, 11, stride=2)
    widths = (12, 32, 48, 48, 32)
    return _code_of_2012(classes, widths, first=first, maps=3, dense=256)


def _after_2012(
    classes: int, norm: Callable[[], nn.Module], pool_first: bool, inverted: bool
) -> nn.Sequential:
    """The arrangement of the paper's text, with 227 pixels; CaffeNet pools before the norm."""

    def reduce() -> list[nn.Module]:
        return [_pool(), norm()] if pool_first else [norm(), _pool()]

    layers: list[nn.Module] = [
        *(nn.Conv2d(3, 96, 11, stride=4), nn.ReLU(), *reduce()),
        *(nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), *reduce()),
        *(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), _pool()),
    ]
    return _number(layers + _classifier(6 * 6 * 256, 4096, classes, inverted))


def _paper(classes: int) -> nn.Sequential:
    # The text multiplies the plain sum of five squares by 1e-4: five times PyTorch's factor.
    return _after_2012(classes, lambda: ColumnNorm(_norm(2.0, 5e-4)), False, inverted=False)


def _caffe(classes: int, pool_first: bool = False) -> nn.Sequential:
    # One GPU, so the norm crosses the border between the groups; k is 1.
    return _after_2012(classes, lambda: _norm(1.0, 1e-4), pool_first, inverted=True)


def one_weird_trick(classes: int, maps: int = 6, dense: int = 4096) -> nn.Sequential:
    """One weird trick's network in torchvision's arrangement: dropout before fc6 and fc7.

    `maps` is the side of the last maps: 6 for crops of 224 pixels.
    """
    layers: list[nn.Module] = [
        *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), _pool()),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), _pool()),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), _pool(), nn.Flatten()),
        *(Dropout(inverted=True), nn.Linear(maps * maps * 256, dense), nn.ReLU()),
        *(Dropout(inverted=True), nn.Linear(dense, dense), nn.ReLU()),
        nn.Linear(dense, classes),
    ]
    return _number(layers)


def _four_layer(classes: int) -> nn.Sequential:
    """cuda-convnet's layers-18pct.cfg with maximum pooling and without its norms."""
    layers: list[nn.Module] = [
        *(nn.Conv2d(3, 32, 5, padding=2), _pool(), nn.ReLU()),
        *(nn.Conv2d(32, 32, 5, padding=2), nn.ReLU(), _pool()),
        *(nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), _pool()),
        *(nn.Flatten(), nn.Linear(2 * 2 * 64, classes)),
    ]
    return _number(layers)


def _two_conv(classes: int) -> nn.Sequential:
    """Two convolutions with batch normalization of the maxima, whose biases it would subtract."""
    norm = partial(nn.BatchNorm2d, eps=1e-4)
    layers: list[nn.Module] = [
        *(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.MaxPool2d(2), norm(16), nn.ReLU()),
        *(nn.Conv2d(16, 64, 3, padding=1, bias=False), nn.MaxPool2d(2), norm(64), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(7 * 7 * 64, 128), nn.ReLU(), nn.Linear(128, classes)),
    ]
    return _number(layers)


_BUILDERS: dict[str, Callable[[int], nn.Sequential]] = {
    "original": _code_of_2012,
    "paper": _paper,
    "single_tower": lambda classes: _code_of_2012(classes, groups=1, columns=1),
    "one_column": lambda classes: _code_of_2012(
        classes, (48, 128, 192, 192, 256), groups=1, columns=1
    ),
    "caffe": _caffe,
    "caffenet": lambda classes: _caffe(classes, pool_first=True),
    "owt": one_weird_trick,
    "six_conv": lambda classes: _code_of_2012(classes, sixth=True),
    "tiny": _tiny,
    "four_layer": _four_layer,
    "two_conv": _two_conv,
}


def build(name: str, classes: int) -> nn.Sequential:
    """Build the PyTorch network of this name."""
    return _BUILDERS[name](classes)
