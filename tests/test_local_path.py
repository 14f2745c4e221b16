import subprocess
import sys

import pytest
from short_run import REPOSITORY, short_config

from alexnet_jax.errors import UserError
from alexnet_jax.local_path import check_local
from alexnet_jax.training.configuration import check_config


@pytest.mark.parametrize("path", ["gs://bucket/data", "s3://b", "file:///data", "C://x"])
def test_a_url_is_refused_with_a_way_out(path):
    with pytest.raises(UserError, match=f"--workdir={path} is a URL.*; (mount|give)"):
        check_local("--workdir", path)


@pytest.mark.parametrize("path", ["runs/demo", "/data", "a:b", "", "//server/share"])
def test_a_path_is_not_taken_for_a_url(path):
    check_local("--workdir", path)


@pytest.mark.parametrize("key", ["data.dir", "train.init_from"])
def test_a_config_with_a_url_is_refused(key, tmp_path):
    config = short_config(tmp_path)
    config.update_from_flattened_dict({key: "gs://bucket/x"})
    with pytest.raises(UserError, match=f"config.{key}=gs://bucket/x is a URL"):
        check_config(config)


@pytest.mark.parametrize(
    "command",
    [
        ["alexnet_jax.prepare", "--dataset=fractals", "--data_dir=gs://b/data"],
        ["alexnet_jax.prepare", "--dataset=folder", "--source=s3://b/images"],
        ["alexnet_jax.main", "--config=configs/demo.py", "--workdir=gs://b/run"],
        ["alexnet_jax.evaluate", "--workdir=runs/a", "--workdir=gs://b/run"],
        ["alexnet_jax.predict", "--workdir=runs/a", "https://example.org/cat.jpg"],
    ],
)
def test_front_doors_refuse_urls_in_one_line_and_make_nothing(command, tmp_path):
    config = REPOSITORY / "configs" / "demo.py"
    command = [part.replace("configs/demo.py", str(config)) for part in command]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "is a URL, but only a mounted file system works here" in done.stderr
    assert list(tmp_path.iterdir()) == []
