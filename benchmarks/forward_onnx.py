"""ONNX Runtime's and OpenVINO's sides of `benchmarks.one_image`: PyTorch's network, exported.

Needs `pip install onnx onnxscript onnxruntime openvino` beside requirements-peers.txt.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.answering import answer, time_calls
from benchmarks.step_torch import SHAPES, build


def export(case: dict[str, Any], path: Path) -> np.ndarray:
    """Write the network to an ONNX file with its weights, and return images to classify."""
    shape = SHAPES[case["network"]]
    images = 50 * torch.randn(case["batch"], 3, shape.size, shape.size)
    torch.onnx.export(
        build(shape).eval(), (images,), path, input_names=["images"], dynamo=True, verbose=False
    )
    return images.numpy()


def onnxruntime(path: Path, images: np.ndarray) -> tuple[str, Callable[[], Any]]:
    """Return the version, and what computes the logits."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return onnxruntime.__version__, lambda: session.run(None, {"images": images})


def openvino(path: Path, images: np.ndarray) -> tuple[str, Callable[[], Any]]:
    """Return the version, and what computes the logits."""
    import openvino

    # Float32, as the others; by itself it takes bfloat16 where the processor has it.
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.compile_model(path, "CPU", settings).create_infer_request()
    return openvino.__version__, lambda: request.infer({"images": images})


def main() -> None:
    """Serve one case, given as JSON."""
    case = json.loads(sys.argv[1])
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        images = export(case, path)
        version, forward = {"onnxruntime": onnxruntime, "openvino": openvino}[case["form"]](
            path, images
        )
        forward()
    start = {"seconds_to_build": time.perf_counter() - begin, case["form"]: version}
    answer({"forward": lambda count: time_calls(forward, int(count))}, start)


if __name__ == "__main__":
    main()
