"""torchvision's networks, imported where its compiled operators cannot be loaded.

torchvision comes without a CPU build of them here. Its networks need none, but importing it
describes two (for boxes) to PyTorch, which must have heard of them.
"""

import torch

_OPERATORS = (
    "nms(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor",
)

try:
    from torchvision import models
except RuntimeError:
    _LIBRARY = torch.library.Library("torchvision", "FRAGMENT")  # Kept: it ends with its object.
    for operator in _OPERATORS:
        _LIBRARY.define(operator)
    from torchvision import models

alexnet = models.alexnet
