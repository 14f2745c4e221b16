"""Weights files, and arrays beside them, that are damaged or were made to do harm."""

import json
import struct
import zipfile

import numpy as np
import pytest
from memory import run_measured
from safetensors.numpy import save_file

from alexnet_jax.data.statistics import load_statistics
from alexnet_jax.errors import UserError
from alexnet_jax.models import find_spec
from alexnet_jax.runs.preprocessing_file import load_preprocessing
from alexnet_jax.weights import import_weights
from alexnet_jax.weights.bundle import tensor_shapes
from alexnet_jax.weights.caffe import read_caffemodel
from alexnet_jax.weights.layout import channels_first_shapes
from alexnet_jax.weights.torchvision import _read_metadata, torchvision_name


def caffemodel(dims, numbers=4):
    """One layer with one blob of these dimensions; lengths stay below 2^14."""

    def varint(number):
        number &= 2**64 - 1
        out = b""
        while number > 127:
            out += bytes([number & 127 | 128])
            number >>= 7
        return out + bytes([number])

    def chunk(field, content):
        return varint(field << 3 | 2) + varint(len(content)) + content

    blob = chunk(7, chunk(1, b"".join(map(varint, dims)))) + chunk(5, bytes(4 * numbers))
    return chunk(100, chunk(1, b"conv1") + chunk(2, b"Convolution") + chunk(7, blob))


@pytest.mark.parametrize(
    "dims",
    [[0], [4, 0, 10**12], [-1, -4], [2**62, 2**62], [1] * 40, [2**62] * 500, [2**40]],
    ids=["zero", "zero and huge", "negative", "overflow", "axes", "digits", "huge"],
)
def test_impossible_shapes_in_a_caffemodel_are_refused(tmp_path, dims):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(caffemodel(dims))
    with pytest.raises(UserError, match="conv1 has"):
        read_caffemodel(path)


def damage(**changed):
    text = {"preprocessing": {"image_size": 64, "mean": [1, 2, 3], "std": [1, 1, 1]}}
    text |= {"class_names": ["a", "b"], "crop_size": 48}
    text["preprocessing"] |= {key: changed.pop(key) for key in ("image_size", "mean", "std")
                              if key in changed}  # fmt: skip
    return json.dumps(text | changed)


METADATA = {
    "447 GiB": damage(image_size=200_000),
    "no image": damage(image_size=0),
    "infinite size": damage(image_size=float("inf")),
    "std 0": damage(std=[0, 1, 1]),
    "std below 0": damage(std=[1, 1, -2]),
    "std NaN": damage(std=[1, 1, float("nan")]),
    "mean NaN": damage(mean=[1, float("nan"), 3]),
    "mean of text": damage(mean="AAAA"),
    "crop too large": damage(crop_size=65),
    "crop of text": damage(crop_size="many"),
    "infinite crop": damage(crop_size=float("inf")),
    "no crop": damage(crop_size=0),
    "deep": "[" * 100_000,
    "a list": "[1]",
    "nothing": "null",
    "cut": damage()[:-9],
}


@pytest.mark.parametrize("name", METADATA)
def test_damaged_metadata_are_refused_in_a_line(tmp_path, name):
    with pytest.raises(UserError) as error:
        _read_metadata(tmp_path / "f.safetensors", METADATA[name])
    assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("names", [["x"] * 50, "ab", [1, 2], [["a"], "b"]])
def test_class_names_must_be_as_many_texts_as_there_are_classes(tmp_path, monkeypatch, names):
    spec = find_spec("owt")
    shapes = channels_first_shapes(tensor_shapes(spec, 2))
    monkeypatch.setattr(
        "alexnet_jax.weights.torchvision.read_safetensors",
        lambda path: (
            {torchvision_name(name): np.zeros(shape, np.float32) for name, shape in shapes.items()},
            {"alexnet_jax": damage(image_size=256, crop_size=224, class_names=names)},
        ),
    )
    with pytest.raises(UserError, match="class names"):
        import_weights(tmp_path / "f.safetensors", "torchvision")


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 200_000) + b"[" * 200_000,
        struct.pack("<Q", 64)
        + b'{"a":{"dtype":"F32","shape":[99999999999],"data_offsets":[0,4]}}'.ljust(64) + bytes(4),
    ],
    ids=["header of any length", "deep header", "shape of 400 GB"],
)  # fmt: skip
def test_a_safetensors_header_that_lies_is_refused(tmp_path, content):
    path = tmp_path / "f.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match="f.safetensors"):
        import_weights(path, "safetensors")


def test_a_description_nested_without_end_is_refused(tmp_path):
    path = tmp_path / "f.safetensors"
    save_file({"a": np.zeros(1, np.float32)}, path, {"alexnet_jax": "[" * 100_000})
    with pytest.raises(UserError, match="description is damaged"):
        import_weights(path, "safetensors")


def packed(path, **arrays):
    np.savez_compressed(path, **arrays)


def npz_of(path, header, data=b""):
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("mean", "std"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\0" + struct.pack("<H", len(header))
                             + header + data)  # fmt: skip


NPZ = {
    "unpacks to 1.2 GB": lambda path: packed(path, mean=np.zeros((10_000, 10_000, 3), np.float32)),
    "claims a terabyte": lambda path: npz_of(
        path, b"{'descr': '<f4', 'fortran_order': False, 'shape': (250000000000,)}\n"
    ),
    "pickle": lambda path: packed(path, mean=np.array([{}], object), std=np.ones(3)),
    "std 0": lambda path: packed(path, mean=np.zeros((8, 8, 3)), std=np.zeros(3)),
    "mean NaN": lambda path: packed(path, mean=np.full((8, 8, 3), np.nan), std=np.ones(3)),
    "no image": lambda path: packed(path, mean=np.zeros((8, 9, 3)), std=np.ones(3)),
    "header of nothing": lambda path: npz_of(path, b"(" * 300 + b"\n"),
    "no zip": lambda path: path.write_bytes(b"\x93NUMPY\x01\0" + b"\x02\0{}"),
    "folder": lambda path: path.mkdir(),
    "encrypted": lambda path: path.write_bytes(_with_flag(path, 1)),
    "unknown compression": lambda path: path.write_bytes(_with_flag(path, 0, 77)),
}


def _with_flag(path, flag, method=0):
    npz_of(path, b"{}\n")
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        place = data.index(mark) + offset
        data[place : place + 4] = struct.pack("<HH", flag, method)
    return bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize("name", NPZ)
def test_a_damaged_preprocessing_is_refused_in_a_line(tmp_path, name):
    NPZ[name](tmp_path / "preprocessing.npz")
    with pytest.raises(UserError, match="preprocessing.npz cannot be read .*rewrites it"):
        load_preprocessing(tmp_path)


def test_damaged_statistics_are_refused_in_a_line(tmp_path):
    (tmp_path / "dataset_info.json").write_text('{"name": "folder"}')
    image = np.zeros((8, 8, 3), np.float32)
    right = {"mean_image": image, "color_axes": np.eye(3), "color_std": np.ones(3), "count": 2}
    packed(tmp_path / "statistics_8.npz", **right)
    assert load_statistics(tmp_path, 8).count == 2
    for wrong in ({"mean_image": image + np.nan}, {"color_std": np.ones(4)}, {"count": [1, 2]}):
        packed(tmp_path / "statistics_8.npz", **right | wrong)
        with pytest.raises(UserError, match="statistics_8.npz cannot be read .*remove it"):
            load_statistics(tmp_path, 8)


@pytest.mark.slow
def test_no_weights_file_takes_a_gigabyte(tmp_path):
    pytest.importorskip("torch")
    code = """
import sys, torch
from pathlib import Path
from alexnet_jax.errors import UserError
from alexnet_jax.weights.files import read_torch
folder = Path(sys.argv[1])
tensors = {
    "expanded": torch.zeros(1).expand(50_000, 50_000),
    "sparse": torch.zeros(3, 3).to_sparse(),
    "meta": torch.empty(100_000, 100_000, device="meta"),
    "whole": torch.zeros(3, dtype=torch.int64),
}
for name, tensor in tensors.items():
    torch.save({"features.0.weight": tensor}, folder / name)
    try:
        read_torch(folder / name)
        print("read", name)
    except UserError as error:
        print(str(error).partition(": ")[2])
torch.save({"a": torch.nn.Parameter(torch.ones(2))}, folder / "parameter")
print(read_torch(folder / "parameter")["a"])
"""
    out, _, peak = run_measured(code, tmp_path)
    expected = ["claims 2,500,000,000 numbers", "is sparse", "has no numbers", "is int64"]
    lines = out.splitlines()
    assert [words in line for words, line in zip(expected, lines, strict=False)] == [True] * 4
    assert lines[4:] == ["[1. 1.]"]
    assert peak < 1_000_000_000
