import subprocess
import sys

import pytest

from alexnet_jax.data.decoding.images import MAX_MEGAPIXELS
from configs import imagenet


def prepare(*flags):
    return subprocess.run(
        [sys.executable, "-m", "alexnet_jax.prepare", *flags],
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_shows_every_flag():
    done = prepare("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for flag in ("dataset", "source", "data_dir", "image_size", "images_per_class", "max_bad_imag"):
        assert f"--{flag}" in done.stdout
    assert f"(default: {MAX_MEGAPIXELS:.1f})" in done.stdout
    assert imagenet.get_config().data.max_megapixels == MAX_MEGAPIXELS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--dataset must be given"),
        (
            ["--dataset=cifar"],
            "known: imagenet2012, folder, fractals, mnist, fashion_mnist, kmnist, cifar10, ",
        ),
        (["--dataset=folder", "extra"], "unexpected arguments: extra"),
        (["--dataset=fractals", "--image_size=0"], "image_size"),
        (["--dataset=fractals", "--max_megapixels=179"], "max_megapixels"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(tmp_path, flags, message):
    done = prepare(*flags, f"--data_dir={tmp_path}")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")


@pytest.mark.slow
def test_fractals_are_made_from_the_command_line(tmp_path):
    done = prepare("--dataset=fractals", "--images_per_class=5", f"--data_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert "fractals/demo_5: 50 train, 10 validation images" in done.stdout
    assert done.stderr == ""
