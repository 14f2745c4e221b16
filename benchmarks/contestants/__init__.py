"""What benchmarks.input compares: each a function (folder) -> iterator of images per batch.

A contestant yields the number of images of each batch as soon as the batch is ready on the host.
It reads `folder/source/train/<class>/*.jpg`, or what was prepared from them under `folder/data`,
without end and in random order. Modules are imported in the contestant's process alone, so that
each may need packages of its own.
"""

import os
from pathlib import Path

BATCH = 128
SIZE = 256
THREADS = len(os.sched_getaffinity(0))

# Name: module and function.
CONTESTANTS = {
    "records": ("ours", "records"),
    "simplejpeg decoding alone": ("decoding", "simplejpeg_alone"),
    "torch, PIL, torchvision transforms": ("torch_loaders", "torchvision_transforms"),
    "torch, cv2 area": ("torch_loaders", "cv2_area"),
    "torch, simplejpeg, torch antialias": ("torch_loaders", "torch_antialias"),
    "Grain, simplejpeg, cv2 area": ("grain_loader", "cv2_area"),
    "DALI on CPU": ("dali", "antialiased"),
    "store": ("ours", "store"),
    "FFCV, raw pixels": ("ffcv_raw", "whole_images"),
}


def image_files(folder: Path) -> list[Path]:
    """Return all source images."""
    return sorted((folder / "source" / "train").glob("*/*.jpg"))
