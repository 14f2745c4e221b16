"""Owners that are dead, frozen or slow, and those who want their locks."""

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from made_locks import elsewhere, leave, make, no_flock

from alexnet_jax.system.folder_lock import LockHeldError
from alexnet_jax.system.lock_owner import Owner

HOLDER = """
import sys
from pathlib import Path
from alexnet_jax.errors import UserError
from alexnet_jax.system.folder_lock import FolderLock
lock = FolderLock(Path(sys.argv[1]), "another run trains", "wait", beat=float(sys.argv[2]))
try:
    lock.acquire()
    print("held", flush=True)
    sys.stdin.readline()
    lock.check_still_mine()
    print("still mine", flush=True)
    lock.close()
except UserError as error:
    print(error, flush=True)
"""


def no_link(source, target):
    """What link does where files cannot have two names."""
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.fixture
def start_holder(tmp_path):
    """Start a process that takes the lock and holds it until it is told to look at it again."""
    processes = []

    def start(beat=5.0, env=None):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, tmp_path / "run.lock", str(beat)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
        )
        processes.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_a_takeover_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(source, target):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    leave(tmp_path, socket.gethostname())
    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="Input/output error"):
        make(tmp_path).acquire()
    assert [path.name for path in tmp_path.iterdir()] == ["run.lock"]


def test_a_second_process_is_refused_on_a_file_system_without_locks(
    tmp_path, start_holder, without_flock
):
    first = start_holder(env=without_flock)
    with pytest.raises(LockHeldError, match=f"pid {first.pid}"):
        make(tmp_path, beat=1000.0, flock=no_flock).acquire()


def test_a_killed_process_is_not_in_the_way_on_a_file_system_without_locks(
    tmp_path, start_holder, without_flock
):
    """Even one that its parent has not noticed yet."""
    first = start_holder(env=without_flock)
    first.kill()
    os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)
    with make(tmp_path, beat=1000.0, flock=no_flock) as lock:
        lock.check_still_mine()


def test_a_process_that_was_given_a_dead_ones_number_is_not_taken_for_it(tmp_path):
    earlier = replace(Owner.this_process(), process_start="1")
    (tmp_path / "run.lock").write_text(earlier.to_json())
    with make(tmp_path, beat=1000.0, flock=no_flock) as lock:
        lock.check_still_mine()


@pytest.mark.slow
@pytest.mark.parametrize("left", [None, "elsewhere"])
@pytest.mark.parametrize("links", [True, False])
def test_of_many_hosts_that_start_at_once_one_goes_on(tmp_path, left, links, monkeypatch):
    if not links:
        monkeypatch.setattr(os, "link", no_link)
    for _ in range(1 if left else 3):
        locks = [
            make(tmp_path, me=replace(elsewhere(), host=f"host{n}"), flock=no_flock, beat=0.5)
            for n in range(8)
        ]
        if left:
            leave(tmp_path, left)
        start = threading.Barrier(len(locks))

        def take(lock, start=start):
            start.wait()
            try:
                lock.acquire()
            except LockHeldError:
                return False
            return True

        with ThreadPoolExecutor(len(locks)) as pool:
            taken = [lock for lock, got in zip(locks, pool.map(take, locks), strict=True) if got]
        for lock in taken:
            lock.check_still_mine()
        assert len(taken) == 1
        taken[0].close()
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("links", [True, False])
def test_nobody_gets_in_while_two_take_over_a_dead_ones_lock(tmp_path, links, monkeypatch):
    if not links:
        monkeypatch.setattr(os, "link", no_link)
    dead = replace(Owner.this_process(), process_start="1")
    (tmp_path / "run.lock").write_text(dead.to_json())
    first, third = (make(tmp_path, flock=no_flock) for _ in range(2))
    rename = Path.rename

    def overtaken(descriptor, operation):
        """The second has read the dead one's file when the first takes the lock."""
        if not (tmp_path / "overtaken").exists():
            (tmp_path / "overtaken").touch()
            first.acquire()
        no_flock(descriptor, operation)

    def rename_and_let_the_third_try(source, target):
        rename(source, target)
        with pytest.raises(LockHeldError):
            third.acquire()

    monkeypatch.setattr(Path, "rename", rename_and_let_the_third_try)
    with pytest.raises(LockHeldError):
        make(tmp_path, flock=overtaken).acquire()
    first.check_still_mine()
    first.close()


def test_an_owner_that_was_frozen_too_long_notices(tmp_path, start_holder, without_flock):
    frozen = start_holder(beat=0.1, env=without_flock)
    frozen.send_signal(signal.SIGSTOP)
    with make(tmp_path, beat=0.1, flock=no_flock, me=elsewhere()) as taker:
        frozen.send_signal(signal.SIGCONT)
        told, _ = frozen.communicate("\n", timeout=300)
        taker.check_still_mine()
    assert f"no longer names this process (host {socket.gethostname()}, pid {frozen.pid})" in told
    assert "another one (host elsewhere, pid 4711) has taken it" in told


def test_an_owner_whose_lock_is_seen_may_be_frozen_for_long(tmp_path, start_holder):
    frozen = start_holder(beat=0.02)
    frozen.send_signal(signal.SIGSTOP)
    with pytest.raises(LockHeldError):
        make(tmp_path, beat=0.02, me=elsewhere()).acquire()
    frozen.send_signal(signal.SIGCONT)
    assert frozen.communicate("\n", timeout=300)[0] == "still mine\n"


def test_freeing_a_lock_that_was_lost_leaves_the_takers_file(tmp_path):
    first = make(tmp_path, flock=no_flock, beat=1000.0)
    first.acquire()
    (tmp_path / "run.lock").unlink()
    with make(tmp_path, flock=no_flock, me=elsewhere()) as taker:
        first.close()
        taker.check_still_mine()
