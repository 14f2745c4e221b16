"""PyTorch's DataLoader with as many worker processes as there are cores, uint8 batches."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
import torch
from PIL import Image
from torch.nn.functional import interpolate

from benchmarks.contestants import BATCH, SIZE, THREADS, image_files

try:
    from torchvision import transforms
except RuntimeError:  # Without its compiled operators; two of them must be known by name.
    _LIBRARY = torch.library.Library("torchvision", "FRAGMENT")
    _BOXES = "(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor"
    _LIBRARY.define(f"nms{_BOXES}")
    _LIBRARY.define(f"qnms{_BOXES}")
    from torchvision import transforms

_TRANSFORM = transforms.Compose(
    [transforms.Resize(SIZE), transforms.CenterCrop(SIZE), transforms.PILToTensor()]
)


class Files(torch.utils.data.Dataset):
    """Image files without end, each read by `read`."""

    def __init__(self, folder: Path, read: Callable[[Path], torch.Tensor]) -> None:
        self.files, self.read = image_files(folder), read

    def __len__(self) -> int:
        return 1 << 30

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.read(self.files[index * 7919 % len(self.files)])


def _batches(folder: Path, read: Callable[[Path], torch.Tensor]) -> Iterator[int]:
    loader = torch.utils.data.DataLoader(Files(folder, read), BATCH, num_workers=THREADS)
    for batch in loader:
        yield len(batch)


def torchvision_transforms(folder: Path) -> Iterator[int]:
    """What torchvision's documentation shows: Resize and CenterCrop of a PIL image."""
    return _batches(folder, lambda path: _TRANSFORM(Image.open(path).convert("RGB")))


def cv2_area(folder: Path) -> Iterator[int]:
    """Decode with OpenCV, scale the center square with INTER_AREA."""
    cv2.setNumThreads(0)

    def read(path: Path) -> torch.Tensor:
        pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB)
        square = _center(pixels)
        return torch.from_numpy(cv2.resize(square, (SIZE, SIZE), interpolation=cv2.INTER_AREA))

    return _batches(folder, read)


def torch_antialias(folder: Path) -> Iterator[int]:
    """Decode with simplejpeg, scale with PyTorch, whose kernel for uint8 is vectorized."""

    def read(path: Path) -> torch.Tensor:
        square = torch.from_numpy(_center(simplejpeg.decode_jpeg(path.read_bytes())))
        planes = square.permute(2, 0, 1)[None]  # Channels last, which the kernel likes best.
        return interpolate(planes, (SIZE, SIZE), mode="bilinear", antialias=True)[0]

    return _batches(folder, read)


def _center(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]
