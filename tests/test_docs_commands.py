"""Every command of the docs runs on a small data set, or is named here with the reason why not.

The commands of a page run in their order, as they stand, with a few more flags that make them
small, in a folder that has what a reader of the page has: data, trained runs, images.
"""

import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from short_run import FRACTALS, REPOSITORY

PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted((REPOSITORY / "docs").glob("*.md")))]
PROGRAM = re.compile(r"^(?:\S+=\S+ )*(?:python -m|alexnet-jax|sbatch|find) ")

# Why a command is not run, by a part of it. The tests that try it otherwise are named.
NOT_RUN = {
    "--dataset=imagenet2012": "needs ImageNet; on made archives: tests/data/builders",
    "main --config=configs/imagenet.py": "needs ImageNet",
    "sbatch": "needs Slurm: tests/launch/test_slurm.py",
    "serve": "runs until it is stopped: tests/serve",
    "benchmarks.": "measures for minutes: tests/benchmarks",
    "alexnet-owt-7be5be79.pth": "needs torchvision's file: tests/weights/test_torchvision.py",
    "init_from=runs/owt": "needs torchvision's file",
    "import --format=safetensors": "needs a file of ours: tests/weights/test_weights_main.py",
    "caffenet.caffemodel": "needs Caffe's file: tests/weights/test_caffe.py",
    "--format=torchvision --workdir=runs/owt": "needs a workdir of owt: tests/weights",
    "launch.sweep": "trains for days: tests/launch/test_sweep.py",
    "--dataset=stripes": "needs the code of its page: tests/test_extending.py",
    "my_recipe.py": "needs the code of its page: tests/test_extending.py",
    "doctor --config=configs/imagenet.py": "measures a large network; the demo's is run",
    "--devices=64": "traces large networks for minutes: tests/diagnosis/test_scaling.py",
    "--profile=100:110": "needs a hundred steps: tests/training/test_profiling.py",
    "photos": "needs the reader's photographs",
}
SHORT = [f"--config.data.name={FRACTALS}", "--config.train.steps=6", "--config.train.batch_size=32"]
OWN = ["--config.train.steps=4", "--config.train.batch_size=8", "--config.eval.batch_size=8"]


def commands(page):
    """Yield the commands of a page: its indented or fenced lines that start a program."""
    text = (REPOSITORY / page).read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if PROGRAM.match(line.strip()):
            yield re.sub(r"\s+", " ", line.split(" #")[0]).strip()


def reason_not_to_run(command):
    return next((why for part, why in NOT_RUN.items() if part in command), None)


def smaller(command):
    """The command with flags that make it small."""
    if "alexnet_jax.main" in command or "alexnet-jax train" in command:
        return [*command.split(), *(OWN if "num_classes=2" in command else SHORT)]
    if "prepare --dataset=fractals" in command:
        return [*command.split(), "--images_per_class=50"]
    if "report" in command:
        return [*command.split(), "--images=16", "--training_images=16"]
    if "doctor" in command:
        return [*command.split(), "--seconds=4", f"--config.data.name={FRACTALS}"]
    return command.split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, fractals_dir, finished):
    """What a reader has: data, trained runs, and images of two classes."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(fractals_dir, folder / "data")
    for name in ("configs", "launch", "alexnet_jax"):
        (folder / name).symlink_to(REPOSITORY / name)
    shutil.copytree(finished[0], folder / "runs" / "imagenet")
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("validation", 8)):
        for name in ("cat", "dog"):
            (folder / "my_images" / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 256, (96, 96, 3), np.uint8)
                path = folder / "my_images" / split / name / f"{number}.png"
                Image.fromarray(pixels).save(path)
    return folder


# Each once, in the order of the pages.
RUN = dict.fromkeys(
    command for page in PAGES for command in commands(page) if reason_not_to_run(command) is None
)


@pytest.mark.parametrize("command", RUN)
def test_a_command_of_the_docs_runs(command, folder):
    words = smaller(command)
    if words[0] == "python":
        words[0] = sys.executable
    elif words[0] == "alexnet-jax":
        words[:1] = [sys.executable, "-m", "alexnet_jax"]
    # As users compile: the pictures of a report take long in programs that were compiled quickly.
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_every_reason_belongs_to_a_command():
    found = [command for page in PAGES for command in commands(page)]
    assert [part for part in NOT_RUN if not any(part in command for command in found)] == []


def test_the_docs_have_commands_that_run():
    assert len(RUN) > 10
