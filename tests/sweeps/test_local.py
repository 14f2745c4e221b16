import subprocess
import sys

import pytest

from alexnet_jax.errors import UserError
from alexnet_jax.sweeps.local import _close, divide_gpus, visible_gpus

# It saves for half a second when it is asked to end, and dies when its standard input is closed.
SAVES_SLOWLY = """
import os, signal, sys, threading, time

def save(number, frame):
    time.sleep(0.5)
    os._exit(75)

signal.signal(signal.SIGTERM, save)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(9)), daemon=True).start()
print("ready", flush=True)
time.sleep(60)
"""


def test_a_trial_that_is_stopped_has_the_time_to_save():
    command = [sys.executable, "-c", SAVES_SLOWLY]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    process.terminate()
    _close(process)
    assert process.returncode == 75
    assert process.stdin.closed


def test_eight_gpus_make_four_pairs():
    assert divide_gpus([str(i) for i in range(8)], 2) == ["0,1", "2,3", "4,5", "6,7"]


def test_gpus_left_over_are_an_error():
    with pytest.raises(UserError, match="=3 does not divide the 8 GPUs here; 1, 2, 4, 8 do"):
        divide_gpus([str(i) for i in range(8)], 3)


def test_a_machine_without_gpus_says_so():
    with pytest.raises(UserError, match="no GPU is visible here"):
        divide_gpus([], 1)


@pytest.mark.parametrize(
    ("variable", "gpus"), [("4,5", ["4", "5"]), ("GPU-8f2a, GPU-9b1c", ["GPU-8f2a", "GPU-9b1c"])]
)
def test_a_part_of_the_machine_is_all_there_is(monkeypatch, variable, gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    assert visible_gpus() == gpus
