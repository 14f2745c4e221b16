"""Every command and snippet of the docs runs, or is named here with the reason why not.

The commands of a page run in their order, as they stand, with a few more flags that make them
small, in a folder that has what a reader of the page has: data, trained runs, images.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cluster_runs import QUICKLY_COMPILED
from PIL import Image
from short_run import FRACTALS, REPOSITORY, SMALL

PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted((REPOSITORY / "docs").glob("*.md")))]
PROGRAM = re.compile(r"^(?:\S+=\S+ )*(?:python -m|alexnet-jax|sbatch|find) ")

# Why a command is not run, by a part of it. The tests that try it otherwise are named.
NOT_RUN = {
    "--dataset=imagenet2012": "needs ImageNet; on made archives: tests/data/builders",
    "--dataset=imagenet2010": "needs ILSVRC-2010; on made archives: tests/data/builders",
    "--dataset=fashion_mnist --image_size=28 --source=DIR": "needs its files: tests/data/builders",
    "--split=test": "needs ILSVRC-2010; other splits: tests/prediction/test_inference.py",
    "main --config=configs/imagenet.py": "needs ImageNet",
    "sbatch": "needs Slurm: tests/launch/test_slurm.py",
    "serve": "runs until it is stopped: tests/serve",
    "benchmarks.": "measures for minutes: tests/benchmarks",
    "alexnet-owt-7be5be79.pth": "needs torchvision's file: tests/weights/test_torchvision.py",
    "init_from=runs/owt": "needs torchvision's file",
    "import --format=safetensors": "needs a file of ours: tests/weights/test_weights_main.py",
    "caffenet.caffemodel": "needs Caffe's file: tests/weights/test_caffe.py",
    "--format=torchvision --workdir=runs/owt": "needs a workdir of owt: tests/weights",
    "launch.reproduce": "trains for minutes: tests/launch/test_reproduce.py",
    "alexnet_jax.sweep": "trains for days: tests/launch/test_sweep.py",
    "--dataset=stripes": "needs the code of its page: tests/test_extending.py",
    "my_recipe.py": "needs the code of its page: tests/test_extending.py",
    "doctor --config=configs/imagenet.py": "measures a large network; the demo's is run",
    "--devices=64": "traces large networks for minutes: tests/diagnosis/test_scaling.py",
    "--profile=100:110": "needs a hundred steps: tests/monitoring/test_profiling.py",
}
SNIPPETS_NOT_RUN = {
    "import mlflow": "needs MLflow: tests/monitoring/test_sink.py",
    "alexnet-owt-7be5be79.pth": "needs torchvision's file: tests/weights/test_torchvision_peer.py",
    "alexnet.stablehlo": "is for a network of full size: tests/weights/test_stablehlo.py",
    "tfds.builder(NAME": "downloads a data set: tests/data/test_tfds_data_set.py",
}
SHORT = " ".join((*SMALL, "--config.train.steps=6"))
OWN = "--config.train.steps=4 --config.train.batch_size=8 --config.eval.batch_size=8"


def commands(page):
    """Yield the commands of a page: its lines that start a program."""
    text = (REPOSITORY / page).read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if PROGRAM.match(line.strip()):
            yield re.sub(r"\s+", " ", line.split(" #")[0]).strip()


def snippets(page):
    """Yield the Python of a page, block by block."""
    yield from re.findall(r"```python\n(.*?)```", (REPOSITORY / page).read_text(), re.DOTALL)


def reason_not_to_run(text, reasons=NOT_RUN):
    return next((why for part, why in reasons.items() if part in text), None)


def smaller(command):
    """The command with flags that make it small, for the shell."""
    command = command.replace("alexnet-jax ", "python -m alexnet_jax ")
    if " alexnet_jax.main " in command or " alexnet_jax train " in command:
        return f"{command} {OWN if 'num_classes=2' in command else SHORT}"
    if "prepare --dataset=fractals" in command:
        return f"{command} --images_per_class=20"
    if ".report " in command:
        return f"{command} --images=16 --training_images=16"
    if ".doctor " in command:
        return f"{command} --seconds=1 --config.data.name={FRACTALS}"
    return command


@pytest.fixture(scope="module")
def folder(tmp_path_factory, fractals_dir, finished):
    """What a reader has: data, trained runs, and images of two classes."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(fractals_dir, folder / "data")
    for name in ("configs", "launch", "alexnet_jax"):
        (folder / name).symlink_to(REPOSITORY / name)
    shutil.copytree(finished[0], folder / "runs" / "imagenet")
    rng = np.random.default_rng(0)
    photograph = Image.fromarray(rng.integers(0, 256, (120, 160, 3), np.uint8))
    (folder / "photos").mkdir()
    for path in ("cat.jpg", "photos/1.jpg", "photos/2.jpg"):
        photograph.save(folder / path)
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


SNIPPETS = [
    snippet
    for page in [*PAGES, "docs/api/index.md"]
    if page != "docs/extending.md"  # tests/test_extending.py runs it as a whole.
    for snippet in snippets(page)
    if reason_not_to_run(snippet, SNIPPETS_NOT_RUN) is None
]


def run(words, folder, **options):
    environment = os.environ | {"XLA_FLAGS": QUICKLY_COMPILED}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, **options
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("command", RUN)
def test_a_command_of_the_docs_runs(command, folder):
    run(smaller(command), folder, shell=True)


@pytest.mark.slow
@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_of_the_docs_runs(snippet, folder):
    run([sys.executable, "-c", snippet], folder)


def test_every_reason_belongs_to_a_command():
    found = [command for page in PAGES for command in commands(page)]
    assert [part for part in NOT_RUN if not any(part in command for command in found)] == []
    found = [snippet for page in PAGES for snippet in snippets(page)]
    assert [part for part in SNIPPETS_NOT_RUN if not any(part in one for one in found)] == []


def test_the_docs_have_commands_that_run():
    assert len(RUN) > 10
