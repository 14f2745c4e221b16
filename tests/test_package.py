"""What `pip install` gives: the console script, the recipes, the demo without a clone."""

import os
import subprocess
import sys
import tomllib

import pytest
from cluster_runs import QUICKLY_COMPILED
from short_run import REPOSITORY, SMALL

from alexnet_jax import __version__
from alexnet_jax.__main__ import COMMANDS


def alexnet(*arguments, folder=REPOSITORY, **variables):
    """Run a command in `folder`; return (exit code, stdout, stderr)."""
    done = subprocess.run(
        [sys.executable, "-m", "alexnet_jax", *arguments],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def test_help_lists_every_command():
    code, out, _ = alexnet("--help")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  ")] == list(COMMANDS)


def test_the_version_is_that_of_the_package():
    assert alexnet("--version") == (0, f"alexnet-jax {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "mistake"),
    [
        ([], "give a command"),
        (["test"], "no command 'test'"),
        (["trian"], "no command 'trian', did you mean train?"),
    ],
)
def test_a_command_that_is_not_there_lists_those_that_are(arguments, mistake):
    code, out, err = alexnet(*arguments)
    assert (code, out) == (2, "")
    assert err == f"error: {mistake}; the known ones: {', '.join(COMMANDS)}\n"


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_help_of_its_own(command):
    code, out, err = alexnet(command, "--help")
    assert (code, err) == (0, "")
    assert f"python -m {COMMANDS[command][0]}" in out


def test_the_console_script_is_that_module():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"alexnet-jax": "alexnet_jax.__main__:main"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that holds what the wheel holds, and nothing of the clone."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-build-isolation", "--no-index", f"--target={folder}"]
    subprocess.run([*pip, "install", *options, str(REPOSITORY)], check=True)
    return folder


@pytest.mark.slow
def test_an_installed_package_has_types_and_recipes_but_no_tests(installed):
    package = installed / "alexnet_jax"
    assert (package / "py.typed").exists()
    assert (package / "configs" / "sweeps" / "ablations.py").exists()
    top = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert top == {"alexnet_jax", "bin"}


@pytest.mark.slow
def test_an_installed_package_trains_in_an_empty_folder(installed, fractals_dir, tmp_path):
    code, out, err = alexnet(
        "train",
        "--config=demo",
        f"--config.data.dir={fractals_dir}",
        *SMALL,
        "--config.train.steps=2",
        "--workdir=run",
        folder=tmp_path,
        PYTHONPATH=str(installed),
        XLA_FLAGS=QUICKLY_COMPILED,
    )
    assert code == 0, err
    assert "\n2 steps in " in out
    assert (tmp_path / "run" / "result.json").exists()


@pytest.mark.slow
def test_an_installed_package_sweeps_without_a_clone(installed, tmp_path):
    code, out, err = alexnet("sweep", "--help", folder=tmp_path, PYTHONPATH=str(installed))
    assert (code, err) == (0, "")
    assert "--gpus_per_trial" in out
