import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet_jax.errors import UserError
from alexnet_jax.system.folder_lock import FolderLock, LockHeldError
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


def no_flock(descriptor, operation):
    """What flock does where a file system has no locks."""
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def no_link(source, target):
    """What link does where files cannot have two names."""
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def make(folder, **options):
    return FolderLock(folder / "run.lock", "another run is training in x", "wait", **options)


def elsewhere():
    """A process of another host."""
    return replace(Owner.this_process(), host="elsewhere", pid=4711, machine="another kernel")


def leave(folder, host, pid=4711):
    """What a run of an older version that was killed leaves behind."""
    (folder / "run.lock").write_text(json.dumps({"host": host, "pid": pid, "started": 1.0}))


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


def test_a_takeover_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(source, target):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    leave(tmp_path, socket.gethostname())
    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="Input/output error"):
        make(tmp_path).acquire()
    assert [path.name for path in tmp_path.iterdir()] == ["run.lock"]


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


def test_a_process_of_another_container_is_watched_not_looked_up(tmp_path):
    """Its number means nothing here, though the host's name is the same."""
    boot = Owner.this_process().machine.partition(" ")[0]
    other = replace(Owner.this_process(), pid=2**22 - 1, machine=f"{boot} pid:[1]")
    with make(tmp_path, me=other, flock=no_flock, beat=0.05), pytest.raises(LockHeldError):
        make(tmp_path, flock=no_flock, beat=0.5).acquire()


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
        told, _ = frozen.communicate("\n", timeout=60)
        taker.check_still_mine()
    assert f"no longer names this process (host {socket.gethostname()}, pid {frozen.pid})" in told
    assert "another one (host elsewhere, pid 4711) has taken it" in told


def test_an_owner_whose_lock_is_seen_may_be_frozen_for_long(tmp_path, start_holder):
    frozen = start_holder(beat=0.02)
    frozen.send_signal(signal.SIGSTOP)
    with pytest.raises(LockHeldError):
        make(tmp_path, beat=0.02, me=elsewhere()).acquire()
    frozen.send_signal(signal.SIGCONT)
    assert frozen.communicate("\n", timeout=60)[0] == "still mine\n"


def test_freeing_a_lock_that_was_lost_leaves_the_takers_file(tmp_path):
    first = make(tmp_path, flock=no_flock, beat=1000.0)
    first.acquire()
    (tmp_path / "run.lock").unlink()
    with make(tmp_path, flock=no_flock, me=elsewhere()) as taker:
        first.close()
        taker.check_still_mine()


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
