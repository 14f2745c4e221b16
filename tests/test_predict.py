"""The commands predict and features as a user starts them."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from short_run import REPOSITORY

from alexnet_jax.data.records import Records
from alexnet_jax.weights import export_weights, read_workdir

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photos(fractals_dir, tmp_path_factory):
    """A folder with three images and a file that is none, though it is named like one."""
    folder = tmp_path_factory.mktemp("predict") / "photos"
    folder.mkdir()
    records = Records(fractals_dir, "fractals/demo_20", "validation")
    for index, example in enumerate(records.read(range(3))):
        (folder / f"{index}.png").write_bytes(example["image"])
    (folder / "bad.jpg").write_text("hello")
    return folder


def run(command, *arguments, text=None):
    return subprocess.run(
        [sys.executable, "-m", f"alexnet_jax.{command}", *map(str, arguments)],
        cwd=REPOSITORY,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        input=text,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_folder_prints_tables_names_bad_files_and_exits_with_2(finished, photos):
    done = run("predict", f"--workdir={finished[0]}", photos)
    assert done.returncode == 2
    assert done.stdout.count("%  ") == 3 * 5
    assert done.stderr == (
        f"error: {photos}/bad.jpg: not a readable image: cannot identify image file\n"
    )
    checkpoint, knowledge, first, *_ = done.stdout.splitlines()
    assert "checkpoint" in checkpoint
    assert "knows 10 classes of fractals/demo_20" in knowledge
    assert first == f"{photos}/0.png"


def test_what_is_no_image_is_named_and_the_others_are_classified(finished, photos, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    huge = tmp_path / "huge.jpg"
    with huge.open("wb") as file:
        file.truncate(1 << 40)
    odd = [tmp_path / "pipe", "/dev/zero", huge, tmp_path / "no\x1b[2J.jpg"]
    done = run("predict", f"--workdir={finished[0]}", *odd, photos / "0.png")
    assert done.returncode == 2
    assert f"{photos}/0.png\n" in done.stdout
    assert [line.split(": ", 2)[2] for line in done.stderr.splitlines()] == [
        "it is no regular file",
        "it is no regular file",
        "it has 1,099,512 MB, more than the 256 MB that are read",
        "cannot be read: No such file or directory",
    ]
    assert "\x1b" not in done.stderr


def test_json_is_all_of_the_output_in_the_order_of_standard_input(finished, photos):
    names = "".join(f"{photos}/{name}\n" for name in ("2.png", "bad.jpg", "0.png"))
    done = run("predict", f"--workdir={finished[0]}", "--json", "--top=2", "-", text=names)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["path"] for line in lines] == names.splitlines()
    assert [len(line.get("predictions", [])) for line in lines] == [2, 0, 2]
    assert done.returncode == 2


def test_it_stops_when_nothing_reads_its_output(finished, photos):
    """As behind `| head`, though standard input has no end."""
    command = f"yes {photos}/0.png | {sys.executable} -m alexnet_jax.predict --json"
    done = subprocess.run(
        ["bash", "-c", f"{command} --workdir={finished[0]} - | head -n 1; echo ${{PIPESTATUS[1]}}"],
        cwd=REPOSITORY,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=300,
    )
    line, code = done.stdout.splitlines()
    assert json.loads(line)["path"] == f"{photos}/0.png"
    assert int(code) == 128 + signal.SIGPIPE


def test_a_program_gives_the_workdirs_center_crop_as_csv(finished, photos, tmp_path):
    export_weights(read_workdir(finished[0]), tmp_path / "program", "stablehlo")
    sources = [f"--program={tmp_path}/program"], [f"--workdir={finished[0]}", "--views=center"]
    tables = [run("predict", *source, "--csv", photos / "0.png").stdout for source in sources]
    rows = [[row.split(",") for row in table.splitlines()] for table in tables]
    assert rows[0][0] == ["path", "rank", "label", "class", "name", "probability"]
    for one, other in zip(rows[0][1:], rows[1][1:], strict=True):
        assert one[:5] == other[:5]
        assert float(one[5]) == pytest.approx(float(other[5]), rel=1e-4)


def test_a_figure_is_written_and_named(finished, photos, tmp_path):
    pytest.importorskip("matplotlib")
    out = tmp_path / "a.png"
    done = run("predict", f"--workdir={finished[0]}", f"--figure={out}", photos / "0.png")
    assert done.stderr == f"{out}: 1 image\n"
    assert out.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name images, folders or -"),
        (["a.png"], "give one of --workdir, --weights and --program"),
        (["--workdir=a", "--program=b", "a.png"], "--program, not --workdir and --program"),
        (["--weights=a", "a.png"], "--weights needs --format"),
        (["--program=a", "--checkpoint=best", "a.png"], "--checkpoint is for --workdir"),
        (["--workdir=a", "--json", "--csv", "a.png"], "give --json or --csv, not both"),
    ],
)
def test_a_mistake_is_one_line(arguments, words):
    done = run("predict", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_features_are_saved_with_their_paths(finished, photos, tmp_path):
    out = tmp_path / "a.npz"
    done = run("features", f"--workdir={finished[0]}", "--layers=fc7,conv5", f"--out={out}", photos)
    assert done.returncode == 2  # One image is none.
    assert f"{out}: fc7 [3, 256], conv5 [3, 3, 3, 32]" in done.stdout
    assert done.stderr.startswith(f"error: {photos}/bad.jpg: not a readable image")
    with np.load(out) as arrays:
        assert arrays["paths"].tolist() == [f"{photos}/{index}.png" for index in range(3)]
        assert arrays["conv5"].shape == (3, 3, 3, 32)


def test_an_unknown_layer_is_one_line(finished, photos, tmp_path):
    flags = [f"--workdir={finished[0]}", "--layers=fc9", f"--out={tmp_path}/a.npz"]
    done = run("features", *flags, photos / "0.png")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no layer 'fc9'; this network has conv1, conv2")
    assert list(tmp_path.iterdir()) == []
