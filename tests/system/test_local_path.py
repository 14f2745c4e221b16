import subprocess
import sys

import pytest
from short_run import REPOSITORY, short_config

from alexnet_jax.config.checks import check_config
from alexnet_jax.errors import UserError
from alexnet_jax.system.local_path import check_folder, check_local


@pytest.mark.parametrize("path", ["gs://bucket/data", "s3://b", "file:///data", "C://x"])
def test_a_url_is_refused_with_a_way_out(path):
    with pytest.raises(UserError, match=f"--workdir={path} is a URL.*; (mount|give)"):
        check_local("--workdir", path)


@pytest.mark.parametrize("path", ["runs/demo", "/data", "a:b", "", "//server/share"])
def test_a_path_is_not_taken_for_a_url(path):
    check_local("--workdir", path)


def test_a_folder_that_is_not_utf_8_is_refused():
    with pytest.raises(UserError, match=r"--workdir=.* is not UTF-8 .*rename the folder"):
        check_folder("--workdir", "/runs/\udcff")


def test_a_folder_below_one_that_is_not_utf_8_is_refused(tmp_path, monkeypatch):
    (tmp_path / "\udcff").mkdir()
    monkeypatch.chdir(tmp_path / "\udcff")
    with pytest.raises(UserError, match="--workdir=run is not UTF-8"):
        check_folder("--workdir", "run")


@pytest.mark.parametrize("folder", ["runs/demo", "/data/猫", ""])
def test_a_folder_in_utf_8_is_taken(folder):
    check_folder("--workdir", folder)


@pytest.mark.parametrize("key", ["data.dir", "train.init_from"])
def test_a_config_with_a_url_is_refused(key, tmp_path):
    config = short_config(tmp_path)
    config.update_from_flattened_dict({key: "gs://bucket/x"})
    with pytest.raises(UserError, match=f"config.{key}=gs://bucket/x is a URL"):
        check_config(config)


DEMO = f"--config={REPOSITORY / 'configs' / 'demo.py'}"


def start(folder, module, *arguments):
    """Run a command in `folder`."""
    return subprocess.run(
        [sys.executable, "-m", f"alexnet_jax.{module}", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": ""},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "command",
    [
        ["prepare", "--dataset=fractals", "--data_dir=gs://b/data"],
        ["prepare", "--dataset=folder", "--source=s3://b/images"],
        ["main", DEMO, "--workdir=gs://b/run"],
        ["evaluate", "--workdir=runs/a", "--workdir=gs://b/run"],
        ["predict", "--workdir=runs/a", "https://example.org/cat.jpg"],
    ],
)
def test_front_doors_refuse_urls_in_one_line_and_make_nothing(command, tmp_path):
    done = start(tmp_path, *command)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "is a URL, but only a mounted file system works here" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["main", DEMO, b"--workdir=run\xff"], r"--workdir=run\udcff is not UTF-8"),
        (["prepare", "--dataset=fractals", b"--data_dir=\xff"], r"--data_dir=\udcff is not UTF-8"),
        (["evaluate", f"--workdir={'x' * 5000}"], "x/config.json: File name too long"),
    ],
)
def test_a_path_that_no_file_can_have_is_one_line(command, words, tmp_path):
    done = start(tmp_path, *command)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []
