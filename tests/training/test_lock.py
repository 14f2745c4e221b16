import json
import os
import re
import socket
import threading
from contextlib import closing

import pytest

from alexnet_jax.errors import UserError
from alexnet_jax.training.lock import WorkdirLock


def leave(workdir, host, pid=4711):
    """What a run that was killed leaves behind."""
    (workdir / "run.lock").write_text(json.dumps({"host": host, "pid": pid}))


def test_a_second_run_is_refused_with_the_name_of_the_first(tmp_path):
    with closing(WorkdirLock(tmp_path)) as first:
        first.acquire()
        named = re.escape(f"(host {socket.gethostname()}, pid {os.getpid()})")
        with pytest.raises(UserError, match=named):
            WorkdirLock(tmp_path).acquire()


def test_a_lock_that_was_freed_can_be_taken(tmp_path):
    for _ in range(2):
        with closing(WorkdirLock(tmp_path)) as lock:
            lock.acquire()


def test_what_a_dead_process_of_this_host_left_is_not_in_the_way(tmp_path):
    """At once: nothing is watched where the system knows."""
    leave(tmp_path, socket.gethostname())
    with closing(WorkdirLock(tmp_path, beat=1000.0)) as lock:
        assert json.loads(lock.acquire())["pid"] == os.getpid()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_file_that_says_nothing_is_not_in_the_way(tmp_path, text):
    (tmp_path / "run.lock").write_text(text)
    with closing(WorkdirLock(tmp_path)) as lock:
        lock.acquire()


def test_another_host_that_no_longer_renews_it_is_not_in_the_way(tmp_path):
    leave(tmp_path, "elsewhere")
    with closing(WorkdirLock(tmp_path, beat=0.05)) as lock:
        lock.acquire()


def test_another_host_that_renews_it_is_refused(tmp_path):
    """Its lock is not seen here, as on a file system that keeps locks to each host."""
    leave(tmp_path, "elsewhere")
    renewal = threading.Timer(0.2, os.utime, (tmp_path / "run.lock",))
    renewal.start()
    with pytest.raises(UserError, match=r"\(host elsewhere, pid 4711\)"):
        WorkdirLock(tmp_path, beat=1.0).acquire()
    renewal.join()


def test_the_owner_renews_it(tmp_path):
    with closing(WorkdirLock(tmp_path, beat=0.02)) as lock:
        lock.acquire()
        os.utime(tmp_path / "run.lock", (0, 0))
        for _ in range(250):
            if (tmp_path / "run.lock").stat().st_mtime:
                return
            threading.Event().wait(0.02)
    raise AssertionError("never renewed")


def test_a_workdir_that_hosts_do_not_share_is_noticed(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    with closing(WorkdirLock(tmp_path / "there")) as lock:
        text = lock.acquire()
        lock.check_visible(text)
        with pytest.raises(UserError, match="must lie on a file system that all hosts share"):
            WorkdirLock(tmp_path / "here", beat=0.01).check_visible(text)
