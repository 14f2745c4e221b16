"""Real processes on this machine, one CPU device each."""

import json
import shutil
import signal
import socket
import time

import pytest
from cluster_runs import (
    TRAIN,
    finish,
    free_port,
    lines,
    options,
    result,
    start,
    start_together,
)
from event_files import read_values
from short_run import wait_for_step

pytestmark = pytest.mark.slow

# Trains, and fails in the middle of it.
FAILING = (
    "-c",
    """
from alexnet_jax import main
from alexnet_jax import cli
from alexnet_jax.training import loop

prefetch_to_device = loop.prefetch_to_device

def from_a_broken_disk(*arguments):
    for number, batch in enumerate(prefetch_to_device(*arguments)):
        if number == 3:
            raise ValueError("the disk of this host is broken")
        yield batch

loop.prefetch_to_device = from_a_broken_disk
cli.run(main.main)
""",
)


@pytest.fixture(scope="module")
def alone(fractals_dir, tmp_path_factory):
    """The workdir of the same run in one process."""
    workdir = tmp_path_factory.mktemp("alone") / "run"
    ((code, _, err),) = finish([start(options(fractals_dir, workdir))])
    assert code == 0, err
    return workdir


@pytest.fixture(scope="module")
def stopped(fractals_dir, tmp_path_factory):
    """The workdir of a run whose second process got SIGTERM, and how each ended."""
    workdir = tmp_path_factory.mktemp("stopped") / "run"
    processes = start_together(2, options(fractals_dir, workdir))
    wait_for_step(workdir, 2)
    processes[1].terminate()
    return workdir, finish(processes)


def assert_same_losses(workdir, other):
    """To float32's rounding at first, and near to the end.

    Other sums round otherwise, and from about step 4 on that decides close races in the max pools:
    measured, up to 0.16 % of a loss. tests/parallel/eight_devices.py holds that nothing else
    differs, in float64.
    """
    for kind in ("train", "eval"):
        for line, expected in zip(lines(workdir, kind), lines(other, kind), strict=True):
            assert line["step"] == expected["step"]
            tolerance = 1e-6 if line["step"] <= 3 else 0.01
            assert line["loss"] == pytest.approx(expected["loss"], rel=tolerance)


def test_two_processes_have_the_losses_of_one(alone, two_processes):
    workdir, ends = two_processes
    assert [code for code, _, _ in ends] == [0, 0], ends
    assert_same_losses(workdir, alone)
    assert result(workdir)["ten_crop"]["count"] == 40


def test_only_the_first_process_speaks_and_writes(two_processes):
    _, ((_, first, _), (_, second, _)) = two_processes
    assert "step 16/16" in first
    printed = [line for line in second.splitlines() if not line.startswith("[Gloo]")]
    assert printed == []


def test_the_first_process_draws_kernels_and_predictions(two_processes):
    board = two_processes[0] / "tensorboard"
    assert read_values(board / "train").keys() >= {"kernels/conv1", "parameters/fc8/kernel"}
    assert "predictions" in read_values(board / "validation")


def test_sigterm_to_one_stops_all_at_the_same_step(stopped):
    workdir, ends = stopped
    assert [code for code, _, _ in ends] == [75, 75], ends
    last = lines(workdir, "train")[-1]["step"]
    assert last < 16
    assert (workdir / "checkpoints" / str(last)).is_dir()


def test_a_stopped_run_continues_to_the_same_bits(stopped, two_processes, fractals_dir, tmp_path):
    shutil.copytree(stopped[0], tmp_path / "run")
    ends = finish(start_together(2, options(fractals_dir, tmp_path / "run")))
    assert [code for code, _, _ in ends] == [0, 0], ends
    expected = result(two_processes[0])["parameters_sha256"]
    assert result(tmp_path / "run")["parameters_sha256"] == expected


def test_a_stopped_run_continues_in_one_process(stopped, alone, fractals_dir, tmp_path):
    shutil.copytree(stopped[0], tmp_path / "run")
    ((code, _, err),) = finish([start(options(fractals_dir, tmp_path / "run"))])
    assert code == 0, err
    assert_same_losses(tmp_path / "run", alone)


def make_best(workdir, step):
    """Change the log of a run so that the evaluation after `step` was the best."""
    log = workdir / "metrics.jsonl"
    logged = [json.loads(line) for line in log.read_text().splitlines()]
    for line in logged:
        if (line["kind"], line["step"]) == ("eval", step):
            line["top1_error"] = 0.0
    log.write_text("".join(json.dumps(line) + "\n" for line in logged))


def saved(folder):
    return sorted(int(path.name) for path in folder.iterdir())


@pytest.fixture(scope="module")
def diverged(two_processes, fractals_dir, tmp_path_factory):
    """The workdir of two processes that began with the best of another run, and how they ended.

    The rate is so high from the fifth step on that its update blows up.
    """
    folder = tmp_path_factory.mktemp("diverged")
    shutil.copytree(two_processes[0], folder / "source")
    make_best(folder / "source", 8)
    rates = {
        "schedule__name": "step_decay",
        "schedule__boundary_steps": "(4, 4, 4, 4, 4)",
        "schedule__factor": 1000.0,
    }
    return folder / "run", finish(start_together(2, short_options(fractals_dir, folder, **rates)))


def short_options(data_dir, folder, **changed):
    """The options of eight steps, a test every two and a save after each."""
    return options(
        data_dir,
        folder / "run",
        train__init_from=folder / "source",
        train__steps=8,
        eval__every_steps=2,
        checkpoint__every_steps=1,
        **changed,
    )


def test_a_cluster_begins_with_the_best_checkpoint_of_another_run(diverged):
    _, ((_, first, _), (_, second, _)) = diverged
    assert "source: checkpoint 8 (best of 8, 16: top-1 error 0.00%" in first
    assert "checkpoint 8" not in second


def test_a_cluster_that_diverges_names_a_good_checkpoint_and_sets_later_ones_aside(diverged):
    workdir, ends = diverged
    # The first to exit may end the other before that has printed its line.
    assert 2 in [code for code, _, _ in ends], ends
    errors = "".join(err for _, _, err in ends)
    assert "Checkpoint 4 is known to be good (moved to diverged_checkpoints: 5)" in errors
    assert saved(workdir / "checkpoints")[-1] == 4
    assert saved(workdir / "diverged_checkpoints") == [5]


def test_after_a_divergence_a_cluster_continues_as_the_message_says_and_keeps_the_best(
    diverged, fractals_dir, tmp_path
):
    shutil.copytree(diverged[0], tmp_path / "run")
    make_best(tmp_path / "run", 4)
    constant = short_options(fractals_dir, tmp_path)  # Much lower than the rate of step 5.
    ends = finish(start_together(2, [*constant, "--resume=ignore_config"]))
    assert [code for code, _, _ in ends] == [0, 0], ends
    assert result(tmp_path / "run")["step"] == 8
    assert saved(tmp_path / "run" / "checkpoints") == [4, 7, 8]


@pytest.mark.parametrize("killed", [0, 1])
def test_after_a_kill_the_other_process_exits_too(fractals_dir, tmp_path, killed):
    processes = start_together(2, options(fractals_dir, tmp_path / "run"))
    wait_for_step(tmp_path / "run", 2)
    processes[killed].kill()
    start_of_wait = time.monotonic()
    other = processes[1 - killed]
    other.communicate(timeout=300)
    finish(processes)
    assert time.monotonic() - start_of_wait < 30
    assert other.returncode not in (0, 75)


def test_a_process_that_fails_says_why_last_and_the_other_exits(fractals_dir, tmp_path):
    processes = start_together(
        2, options(fractals_dir, tmp_path / "run"), programs=[TRAIN, FAILING]
    )
    (first, _, _), (second, _, err) = finish(processes)
    assert second == 1
    assert err.rstrip().endswith("ValueError: the disk of this host is broken")
    assert first not in (0, 75)


def test_different_configs_are_refused_with_the_difference(fractals_dir, tmp_path):
    ends = finish(
        start_together(2, options(fractals_dir, tmp_path / "run"), last=["--config.train.seed=5"])
    )
    assert 2 in [code for code, _, _ in ends]
    errors = "".join(err for _, _, err in ends)
    assert "processes 0 and 1 were not started alike (train.seed: 4, 5)" in errors


def test_a_coordinator_that_is_not_there_is_named_in_time(fractals_dir, tmp_path):
    address = f"127.0.0.1:{free_port()}"
    process = start(
        options(fractals_dir, tmp_path / "run", parallel__initialization_timeout=3),
        JAX_COORDINATOR_ADDRESS=address,
        JAX_NUM_PROCESSES="2",
        JAX_PROCESS_ID="1",
    )
    ((code, _, err),) = finish([process])
    assert (code, err.count("\n")) == (3, 1)
    assert f"process 1 of 2 (coordinator {address}) did not meet the others within 3 s" in err


def test_a_coordinator_whose_port_is_taken_is_one_line(fractals_dir, tmp_path):
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(
            options(fractals_dir, tmp_path / "run"),
            JAX_COORDINATOR_ADDRESS=f"127.0.0.1:{port}",
            JAX_NUM_PROCESSES="2",
            JAX_PROCESS_ID="0",
        )
        ((code, _, err),) = finish([process])
    assert (code, err.count("\n")) == (3, 1)
    assert f"cannot listen on port {port} (" in err


@pytest.mark.parametrize("key", ["processes", "devices"])
def test_fewer_than_expected_is_an_error_that_names_the_cause(fractals_dir, tmp_path, key):
    expecting = options(fractals_dir, tmp_path / "run", **{f"parallel__{key}": 2})
    ((code, _, err),) = finish([start(expecting)])
    assert (code, err.count("\n")) == (2, 1)
    assert f"config.parallel.{key} expects 2. Usual causes:" in err


def test_a_second_run_on_a_workdir_is_refused_and_a_killed_one_is_not_in_the_way(
    fractals_dir, tmp_path
):
    training = options(fractals_dir, tmp_path / "run", train__steps=10_000)
    first = start(training)
    wait_for_step(tmp_path / "run", 1)
    first.send_signal(signal.SIGSTOP)  # It holds the lock without taking the processor.
    ((code, _, err),) = finish([start(training)])
    assert (code, err.count("\n")) == (2, 1)
    assert f"(host {socket.gethostname()}, pid {first.pid})" in err
    first.kill()
    finish([first])
    assert first.returncode == -signal.SIGKILL
    reached = lines(tmp_path / "run", "train")[-1]["step"]
    again = start(training)
    wait_for_step(tmp_path / "run", reached + 1)
    again.kill()
    finish([again])
