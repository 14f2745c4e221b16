import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_files import CAT, DOG, jpeg, training_images, validation_images, write_source
from tensorflow_datasets.datasets.imagenet2012.imagenet2012_dataset_builder import CMYK_IMAGES

from alexnet_jax.config.recipes import get_recipe
from alexnet_jax.config.schema import flatten
from alexnet_jax.data.builders import preparation
from alexnet_jax.data.builders.preparation import Request, prepare_dataset
from alexnet_jax.data.records import Records
from alexnet_jax.data.statistics import has_statistics, load_statistics
from alexnet_jax.errors import UserError

PREPARE = [sys.executable, "-m", "alexnet_jax.prepare", "--dataset=imagenet2012"]


def content(directory):
    return {path: path.stat().st_mtime_ns for path in directory.iterdir()}


def test_statistics_come_with_the_records(prepare_imagenet):
    directory = prepare_imagenet(training_images())
    assert load_statistics(directory, 16, count=12).mean_image.shape == (16, 16, 3)


def test_a_second_run_changes_no_file(prepare_imagenet):
    before = content(prepare_imagenet(training_images(1)))
    assert content(prepare_imagenet(training_images(1))) == before


def test_only_missing_statistics_are_computed_and_need_no_source(prepare_imagenet, tmp_path):
    directory = prepare_imagenet(training_images(1))
    before = content(directory)
    prepare_dataset(Request("imagenet2012", tmp_path / "data", image_size=9))
    after = content(directory)
    assert after.items() > before.items()
    assert [path.name for path in after.keys() - before.keys()] == ["statistics_9.npz"]


@pytest.mark.slow
def test_another_process_writes_the_same_bytes(imagenet_dir, tmp_path):
    flags = [f"--source={imagenet_dir.parent / 'source'}", f"--data_dir={tmp_path}"]
    subprocess.run(
        [*PREPARE, *flags, "--image_size=16"],
        env=os.environ | {"PYTHONHASHSEED": "1"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    first, second = (
        {path.name: path.read_bytes() for path in data_dir.glob("imagenet2012/*/*.array_record*")}
        for data_dir in (imagenet_dir, tmp_path)
    )
    assert len(first) == 2
    assert first == second


def test_without_a_train_split_there_are_no_statistics(prepare_imagenet, capsys):
    directory = prepare_imagenet(validation=validation_images())
    assert not has_statistics(directory, 16)
    assert "no train split: no statistics" in capsys.readouterr().out


def test_the_summary_tells_counts_place_and_next_command(prepare_imagenet, capsys):
    directory = prepare_imagenet(training_images(2), validation_images())
    out = capsys.readouterr().out
    assert f"imagenet2012: 6 train, 4 validation images in {directory}" in out
    assert "unreadable images left out: 0" in out
    assert "next: python -m alexnet_jax.main --config=configs/imagenet.py" in out


def test_the_next_command_for_a_folder_fits_its_classes_and_size(image_folder, tmp_path, capsys):
    source = image_folder({"train/cat/1.jpg": jpeg(), "train/dog/1.jpg": jpeg()})
    prepare_dataset(Request("folder", tmp_path / "data", source, image_size=8))
    out = capsys.readouterr().out
    assert (
        "--config.data.name=folder --config.model.num_classes=2 --config.data.image_size=8" in out
    )


def test_a_data_dir_that_cannot_be_made_is_named():
    with pytest.raises(UserError, match="cannot write to --data_dir=/proc/data"):
        prepare_dataset(Request("fractals", Path("/proc/data")))


def test_an_archive_that_came_later_is_not_passed_over(prepare_imagenet):
    directory = prepare_imagenet(training_images(1))
    with pytest.raises(UserError, match=f"{directory} was made before and has no validation split"):
        prepare_imagenet(validation=validation_images())


def test_another_folder_is_not_passed_off_as_the_first(image_folder, tmp_path):
    first = image_folder({"train/cat/1.jpg": jpeg()}, "first")
    second = image_folder({"train/dog/1.jpg": jpeg()}, "second")
    directory = prepare_dataset(Request("folder", tmp_path / "data", first, image_size=8))
    with pytest.raises(UserError, match=f"{directory} was made before and has other classes"):
        prepare_dataset(Request("folder", tmp_path / "data", second, image_size=8))


@pytest.mark.parametrize(
    ("dataset", "name", "size"),
    [
        ("fractals", "fractals/demo", 96),
        ("fractals/demo_7", "fractals/demo_7", 96),
        ("fractals/imagenet_like", "fractals/imagenet_like", 256),
        ("imagenet2012", "imagenet2012", 256),
    ],
)
def test_names_and_default_sizes(tmp_path, dataset, name, size):
    request = Request(dataset, tmp_path)
    assert (request.name, request.size) == (name, size)


def test_fractals_are_made_with_the_images_asked_for(tmp_path):
    prepare_dataset(Request("fractals", tmp_path, images_per_class=5, image_size=8))
    assert len(Records(tmp_path, "fractals/demo_5", "train")) == 50


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dataset": "cifar"}, "unknown data set 'cifar'; known: imagenet2012, folder, fractals"),
        ({"dataset": "folder/cats"}, "no folder config 'cats'; it has none"),
        ({"dataset": "fractals", "source": "."}, "leave --source out"),
        ({"dataset": "folder", "images_per_class": 3}, "--images_per_class is for fractals"),
        ({"dataset": "folder"}, "--source=DIR must say what from"),
        ({"dataset": "folder", "source": "none"}, "--source=none is not a directory"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(tmp_path, fields, message):
    if "source" in fields:
        fields = fields | {
            "source": tmp_path if fields["source"] == "." else type(tmp_path)("none")
        }
    with pytest.raises(UserError, match=message):
        prepare_dataset(Request(data_dir=tmp_path / "data", **fields))


def test_two_at_a_time_are_refused(tmp_path):
    source = write_source(tmp_path / "source", training_images(1))
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    with (data_dir / ".prepare.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_SH)  # The weakest hold that an exclusive lock must respect.
        with pytest.raises(
            UserError, match=rf"another prepare .* holds {data_dir}/\.prepare\.lock"
        ):
            prepare_dataset(Request("imagenet2012", data_dir, source, image_size=8))


@pytest.mark.slow
def test_a_file_system_without_locks_will_do(tmp_path, without_flock):
    source = write_source(tmp_path / "source", training_images(1))
    arguments = [f"--source={source}", f"--data_dir={tmp_path / 'data'}", "--image_size=8"]
    done = subprocess.run(
        [*PREPARE, *arguments, "--store"], capture_output=True, text=True, env=without_flock
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_data_dir_that_is_a_file_is_a_users_error(tmp_path):
    source = write_source(tmp_path / "source", training_images(1))
    (tmp_path / "data").touch()
    with pytest.raises(UserError, match="cannot write to --data_dir="):
        prepare_dataset(Request("imagenet2012", tmp_path / "data", source))


def test_a_source_larger_than_the_disk_is_refused_at_once(tmp_path):
    source = write_source(tmp_path / "source", training_images(1))
    too_large = shutil.disk_usage(tmp_path).free + 10**12
    with (source / "ILSVRC2012_img_train.tar").open("r+b") as archive:
        archive.truncate(too_large)  # Zeros that take no space, and end the archive properly.
    with pytest.raises(UserError, match="the data set imagenet2012 needs"):
        prepare_dataset(Request("imagenet2012", tmp_path / "data", source))


def test_nothing_is_fetched_from_the_network(prepare_imagenet, monkeypatch):
    calls = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: calls.append(address))
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *arguments, **options: calls.append(arguments)
    )
    prepare_imagenet(training_images(1), validation_images())
    assert calls == []


@pytest.mark.slow
def test_killed_in_the_middle_it_starts_again_and_leaves_nothing_unfinished(tmp_path):
    image = jpeg(0, 500, 375, quality=95)
    train = {synset: {f"{synset}_{n}.JPEG": image for n in range(300)} for synset in (CAT, DOG)}
    source = write_source(tmp_path / "source", train)
    dataset = tmp_path / "data" / "imagenet2012"
    process = subprocess.Popen([*PREPARE, f"--source={source}", f"--data_dir={tmp_path / 'data'}"])
    while not list(dataset.glob("incomplete.*")):
        assert process.poll() is None, "it was over before it could be killed"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert [path.name[:11] for path in dataset.iterdir()] == ["incomplete."]

    prepare_dataset(Request("imagenet2012", tmp_path / "data", source, image_size=8))
    assert [path.name for path in dataset.iterdir()] == ["5.1.0"]
    assert len(Records(tmp_path / "data", "imagenet2012", "train")) == 600


def prepare_on_a_small_disk(tmp_path, size):
    """Run prepare on a disk of `size`; returns what it did, and lists the data set it left.

    Poor CMYK JPEGs pass the check of free space, but grow when stored as RGB of quality 100:
    an archive of 1.15 MB makes 1.38 MB of records.
    """
    poor = jpeg(0, 900, 900, mode="CMYK", quality=5)
    train = {name.split("_")[0]: {name: poor} for name in CMYK_IMAGES}
    source, disk = write_source(tmp_path / "source", train), tmp_path / "disk"
    disk.mkdir()
    places = [f"--source={source}", f"--data_dir={disk}"]
    mount = f'mount -t tmpfs -o size={size} small "{disk}" || exit 77; "$@"; code=$?'
    script = f'{mount}; find "{disk}/imagenet2012" -mindepth 1 -maxdepth 1; exit $code'
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script, "sh", *PREPARE, *places],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    return done


@pytest.mark.slow
def test_a_disk_full_of_records_is_named_and_nothing_half_made_stays(tmp_path):
    done = prepare_on_a_small_disk(tmp_path, "1200k")
    expected = f"error: disk full while writing the data set imagenet2012: {tmp_path / 'disk'} has"
    assert done.stderr.startswith(expected)
    assert done.stdout == ""


@pytest.mark.slow
def test_a_disk_full_of_statistics_is_named_and_the_records_stay(tmp_path):
    done = prepare_on_a_small_disk(tmp_path, "1500k")
    directory = tmp_path / "disk" / "imagenet2012" / "5.1.0"
    expected = f"error: disk full while writing statistics_256.npz: {directory} has"
    assert done.stderr.startswith(expected)
    assert done.stdout.splitlines()[-1] == str(directory)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_complete_data_set_on_a_read_only_disk_needs_no_lock(prepare_imagenet, tmp_path):
    prepare_imagenet(training_images(1))
    (tmp_path / "data").chmod(0o555)
    prepare_dataset(Request("imagenet2012", tmp_path / "data", image_size=16))
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["imagenet2012"]


@pytest.mark.parametrize("recipe", preparation._RECIPES)
def test_what_it_says_of_a_recipe_is_what_the_recipe_says(recipe):
    config = flatten(get_recipe(recipe).to_dict())
    said = preparation._RECIPES[recipe]
    assert tuple(config[key] for key in preparation._KEYS) == said


@pytest.mark.parametrize(
    ("name", "recipe", "size"),
    [
        ("fractals", "demo", 96),
        ("fractals/demo_50", "demo", 96),
        ("fractals/few", "demo", 96),
        ("fractals/imagenet_like", "imagenet", 256),
        ("fashion_mnist", "small_data", 28),
        ("cifar10", "small_data", 32),
        ("folder", "imagenet", 256),
    ],
)
def test_a_data_set_is_prepared_for_its_recipe(name, recipe, size):
    request = Request(name, Path("data"))
    assert (request.recipe, request.size) == (recipe, size)
