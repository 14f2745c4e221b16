import json
import os
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from made_locks import leave, make, no_flock

from alexnet_jax.errors import UserError
from alexnet_jax.system.folder_lock import LockHeldError
from alexnet_jax.system.lock_owner import Owner


@pytest.mark.parametrize("flock", [None, no_flock])
def test_a_second_run_is_refused_with_the_name_of_the_first(tmp_path, flock):
    options = {} if flock is None else {"flock": flock}
    expected = (
        f"another run is training in x (host {socket.gethostname()}, pid {os.getpid()}); wait"
    )
    with make(tmp_path, **options), pytest.raises(LockHeldError) as refusal:
        make(tmp_path, **options).acquire()
    assert str(refusal.value) == expected


@pytest.mark.parametrize("flock", [None, no_flock])
def test_a_lock_that_was_freed_can_be_taken_and_leaves_nothing(tmp_path, flock):
    for _ in range(2):
        with make(tmp_path, **({} if flock is None else {"flock": flock})):
            pass
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_process_of_this_host_left_is_not_in_the_way(tmp_path):
    """At once: nothing is watched where the system knows."""
    leave(tmp_path, socket.gethostname())
    with make(tmp_path, beat=1000.0) as lock:
        assert json.loads((tmp_path / "run.lock").read_text())["pid"] == os.getpid()
        lock.check_still_mine()


def test_an_owner_waits_for_a_file_server_that_finds_the_file_late(tmp_path):
    with make(tmp_path, beat=5.0) as lock:
        (tmp_path / "run.lock").rename(tmp_path / "away")
        late = threading.Timer(0.1, (tmp_path / "away").rename, (tmp_path / "run.lock",))
        late.start()
        lock.check_still_mine()
        late.join()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_file_that_says_nothing_is_not_in_the_way(tmp_path, text):
    (tmp_path / "run.lock").write_text(text)
    with make(tmp_path, beat=1000.0) as lock:
        lock.check_still_mine()


@pytest.mark.parametrize("flock", [None, no_flock])
def test_another_host_that_no_longer_renews_it_is_not_in_the_way(tmp_path, flock):
    leave(tmp_path, "elsewhere")
    with make(tmp_path, beat=0.05, **({} if flock is None else {"flock": flock})) as lock:
        lock.check_still_mine()


def test_another_host_that_renews_it_is_refused(tmp_path):
    """Its lock is not seen here, as on a file system that keeps locks to each host."""
    leave(tmp_path, "elsewhere")
    renewal = threading.Timer(0.2, os.utime, (tmp_path / "run.lock",))
    renewal.start()
    with pytest.raises(UserError, match=r"\(host elsewhere, pid 4711\)"):
        make(tmp_path, beat=1.0).acquire()
    renewal.join()


def test_the_owner_renews_it(tmp_path):
    with make(tmp_path, beat=0.02):
        os.utime(tmp_path / "run.lock", (0, 0))
        end = time.monotonic() + 30
        while not (tmp_path / "run.lock").stat().st_mtime:
            assert time.monotonic() < end, "never renewed"
            time.sleep(0.02)


def test_a_workdir_that_hosts_do_not_share_is_noticed(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    with make(tmp_path / "there") as lock:
        text = (tmp_path / "there" / "run.lock").read_text()
        lock.check_visible(text)
        with pytest.raises(UserError, match="must lie on a file system that all hosts share"):
            make(tmp_path / "here", beat=0.01).check_visible(text)


def test_a_process_of_another_container_is_watched_not_looked_up(tmp_path):
    """Its number means nothing here, though the host's name is the same."""
    boot = Owner.this_process().machine.partition(" ")[0]
    other = replace(Owner.this_process(), pid=2**22 - 1, machine=f"{boot} pid:[1]")
    with make(tmp_path, me=other, flock=no_flock, beat=0.05), pytest.raises(LockHeldError):
        make(tmp_path, flock=no_flock, beat=0.5).acquire()


def test_whether_a_lock_is_held_can_be_asked(tmp_path):
    assert not make(tmp_path).is_held()
    for options in ({}, {"flock": no_flock}):
        with make(tmp_path, **options):
            assert make(tmp_path, **options).is_held()


def test_a_folder_in_the_place_of_the_lock_is_an_error_that_leaves_nothing_open(tmp_path):
    (tmp_path / "run.lock").mkdir()
    with pytest.raises(IsADirectoryError):
        make(tmp_path).acquire()
    assert [path.name for path in tmp_path.iterdir()] == ["run.lock"]
    held = [path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    assert not [path for path in held if str(path).startswith(str(tmp_path))]
