import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from alexnet_jax.data.builders.preparation import (
    Request,
    check_store,
    prepare_dataset,
    prepare_store,
)
from alexnet_jax.data.image_source import DecodedImages
from alexnet_jax.data.pixel_store.statistics_file import compute_statistics
from alexnet_jax.data.records import Records
from alexnet_jax.data.statistics import load_statistics
from alexnet_jax.errors import UserError

SIZE = 16
IMAGENET = "imagenet2012"


def request(data_dir, **values):
    return Request(IMAGENET, data_dir, image_size=SIZE, **values)


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def small_shards(monkeypatch, rows):
    monkeypatch.setattr("alexnet_jax.data.pixel_store.writing._SHARD_BYTES", rows * SIZE**2 * 3)


def test_it_says_how_many_bytes_it_will_write(stored, capsys):
    shutil.rmtree(stored[1])
    prepare_store(request(stored[0]))
    assert (
        f"writing 16 images of 16x16 pixels, 0.00 GB, to {stored[1]}\n" in capsys.readouterr().out
    )


def test_an_image_above_the_limit_on_megapixels_stops_it_in_a_line(stored):
    shutil.rmtree(stored[1])
    with pytest.raises(UserError, match=r"example \d+ .*40x30 pixels are more than 0\.001 mega"):
        prepare_store(request(stored[0], max_megapixels=0.001))


def test_the_store_brings_its_statistics(stored):
    records = Records(stored[0], IMAGENET, "train")
    expected = compute_statistics(DecodedImages(records, SIZE))
    loaded = load_statistics(stored[1], SIZE, count=12)
    for name in ("mean_image", "pca_eigenvectors", "pca_std", "count"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(expected, name))


def test_statistics_from_the_store_are_those_from_the_records(stored):
    (stored[1].parent / f"statistics_{SIZE}.npz").unlink()
    before = load_statistics(stored[1], SIZE)
    (stored[1] / f"statistics_{SIZE}.npz").unlink()
    prepare_store(request(stored[0]))
    for directory in (stored[1], stored[1].parent):
        after = load_statistics(directory, SIZE)
        for name in ("mean_image", "pca_eigenvectors", "pca_std", "count"):
            np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


def test_a_finished_store_is_left_alone(stored):
    times = {path: path.stat().st_mtime_ns for path in stored[1].iterdir()}
    prepare_store(request(stored[0]))
    assert {path: path.stat().st_mtime_ns for path in stored[1].iterdir()} == times


def test_prepare_makes_records_and_store_in_one_go(tmp_path, capsys):
    prepare_dataset(Request("fractals/demo_2", tmp_path, image_size=8, store=True))
    out = capsys.readouterr().out
    assert "pixels_8; train from it with --config.data.source=store" in out
    assert sorted(
        path.name for path in (tmp_path / "fractals/demo_2/1.0.0/pixels_8").iterdir()
    ) == [
        "manifest.json",
        "statistics_8.npz",
        "train-00000-of-00001.npy",
        "train-labels.npy",
        "validation-00000-of-00001.npy",
        "validation-labels.npy",
    ]


def test_without_records_it_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match="no data set 'imagenet2012' in .* --store instead of"):
        prepare_store(request(tmp_path))


def test_two_writers_are_refused(stored):
    shutil.rmtree(stored[1])
    with (stored[0] / ".prepare.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        with pytest.raises(UserError, match="another prepare is at work"):
            prepare_store(request(stored[0]))
    assert not stored[1].exists()


def test_a_store_larger_than_the_disk_is_refused_at_once(stored, monkeypatch):
    shutil.rmtree(stored[1])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 1_000))
    with pytest.raises(UserError, match=r"the pixel store of imagenet2012 needs 0.0 MB"):
        prepare_store(request(stored[0]))


@pytest.mark.parametrize("split", ["train", "validation"])
def test_only_what_is_missing_is_written_again(stored, monkeypatch, split):
    small_shards(monkeypatch, 5)
    shutil.rmtree(stored[1])
    prepare_store(request(stored[0]))
    whole = contents(stored[1])
    lost = sorted(stored[1].glob(f"{split}-0*"))[0]
    kept = sorted(stored[1].glob("train-0*"))[1]
    before = kept.stat().st_mtime_ns
    lost.unlink()
    prepare_store(request(stored[0]))
    assert contents(stored[1]) == whole
    assert kept.stat().st_mtime_ns == before


def test_lost_labels_are_written_again(stored):
    whole = contents(stored[1])
    (stored[1] / "train-labels.npy").unlink()
    prepare_store(request(stored[0]))
    assert contents(stored[1]) == whole


def test_a_store_of_other_records_is_not_completed(stored):
    info = stored[1].parent / "dataset_info.json"
    values = json.loads(info.read_text())
    values["splits"][0]["numBytes"] = "1"
    info.write_text(json.dumps(values))
    (stored[1] / "train-00000-of-00001.npy").unlink()
    with pytest.raises(UserError, match=r"holds a pixel store of other records.*remove it"):
        prepare_store(request(stored[0]))


PREPARE = """
import sys
from alexnet_jax import cli
from alexnet_jax.data.pixel_store import writing
writing._SHARD_BYTES = 50 * 96 * 96 * 3
from alexnet_jax import prepare
cli.run(prepare.main, required=["dataset"])
"""


@pytest.mark.slow
def test_killed_again_and_again_it_ends_with_the_same_bytes(larger_fractals_dir, tmp_path):
    """Twelve shards of 50; each run is killed as soon as it has finished another one or two."""
    data_dir = tmp_path / "data"
    shutil.copytree(larger_fractals_dir, data_dir)
    name = "fractals/demo_50"
    directory = data_dir / "fractals" / "demo_50" / "1.0.0" / "pixels_96"
    command = [sys.executable, "-c", PREPARE]
    command += [f"--dataset={name}", f"--data_dir={data_dir}", "--store_only"]
    finished = {}
    for _ in range(2):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while len(list(directory.glob("*-of-*.npy"))) <= len(finished):
            assert process.poll() is None, "it was over before it could be killed"
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (directory / "manifest.json").exists()
        now = {p.name: p.stat().st_mtime_ns for p in directory.glob("*-of-*.npy")}
        entered = json.loads((directory / "unfinished.json").read_text())["splits"]
        told = {shard["name"] for split in entered.values() for shard in split["shards"]}
        assert told >= set(finished)
        assert {shard: now[shard] for shard in told & set(finished)} == {
            shard: finished[shard] for shard in told & set(finished)
        }
        finished = {shard: now[shard] for shard in told}
    assert subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0
    check_store(Request(name, data_dir))
    assert not list(directory.glob("*.tmp"))
    whole = contents(directory)
    shutil.rmtree(directory)
    assert subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0
    assert contents(directory) == whole


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [30, 700, 1900, 5000])
def test_a_full_disk_leaves_nothing_that_looks_whole(larger_fractals_dir, tmp_path, kilobytes):
    """The records take 3.4 MB of the disk, the store would take 16.6 MB; nothing checks first."""
    disk = tmp_path / "disk"
    disk.mkdir()
    script = PREPARE.replace(
        "from alexnet_jax import prepare",
        "from alexnet_jax.data.pixel_store import writing\n"
        "writing.require_free_space = lambda *arguments: None\n"
        "from alexnet_jax import prepare",
    )
    size = 3_600 + kilobytes
    shell = (
        f'mount -t tmpfs -o size={size}k small "{disk}" || exit 77; '
        f'cp -r "{larger_fractals_dir}/." "{disk}" || exit 78; "$@"; code=$?; '
        f'cd "{disk}/fractals/demo_50/1.0.0/pixels_96" && ls; exit $code'
    )
    arguments = ["--dataset=fractals/demo_50", f"--data_dir={disk}", "--store_only"]
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", shell, "sh", sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("error: disk full while writing the pixel store of fractals/demo")
    assert done.stderr.count("\n") == 1
    left = done.stdout.splitlines()[1:]
    assert "manifest.json" not in left
    assert not [name for name in left if name.endswith(".tmp")]
