"""Commands as users run them: each in a process of its own."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from short_run import REPOSITORY, SMALL, wait_for_step

pytestmark = pytest.mark.slow

# Gets SIGTERM as its first test begins.
STOPPED_IN_THE_TEST = """
import os, signal
from alexnet_jax import main
from alexnet_jax import cli
from alexnet_jax.training import loop

evaluate_split = loop.evaluate_split

def stop_and_evaluate(*arguments):
    os.kill(os.getpid(), signal.SIGTERM)
    return evaluate_split(*arguments)

loop.evaluate_split = stop_and_evaluate
cli.run(main.main)
"""


def start(*arguments, module="alexnet_jax.main", program=None):
    """Start a command, or a program that stands for one, on one CPU device."""
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(
        [sys.executable, *(["-c", program] if program else ["-m", module]), *arguments],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments, module="alexnet_jax.main"):
    process = start(*arguments, module=module)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def training(fractals_dir):
    """The arguments of a run of 40 small steps that saves often."""
    return [
        "--config=configs/demo.py",
        f"--config.data.dir={fractals_dir}",
        *SMALL,
        "--config.train.steps=40",
        "--config.eval.every_steps=25",
        "--config.checkpoint.every_steps=5",
        "--config.log.every_steps=1",
    ]


@pytest.fixture(scope="module")
def whole_run(training, tmp_path_factory):
    """The workdir, stdout and stderr of the run when nobody disturbs it."""
    workdir = tmp_path_factory.mktemp("whole")
    code, out, err = run(*training, f"--workdir={workdir}")
    assert code == 0, err
    return workdir, out, err


@pytest.fixture(scope="module")
def whole(whole_run):
    """Its result, stdout and stderr."""
    workdir, out, err = whole_run
    return json.loads((workdir / "result.json").read_text()), out, err


@pytest.fixture(scope="module")
def stopped(training, whole, tmp_path_factory):
    """The workdir of a run that was killed, and then stopped in its first test; that one's end."""
    workdir = tmp_path_factory.mktemp("stopped")
    process = start(*training, f"--workdir={workdir}")
    wait_for_step(workdir, 7)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    process = start(*training, f"--workdir={workdir}", program=STOPPED_IN_THE_TEST)
    _, err = process.communicate(timeout=300)
    return workdir, process.returncode, err


def test_a_run_says_its_result_and_nothing_on_stderr(whole):
    result, out, err = whole
    assert f"center crop  {result['center']['top1_error']:.2%}" in out
    assert err == ""


def test_a_run_says_what_it_trains_before_the_first_step(whole):
    _, out, _ = whole
    summary, steps = re.split(r"compiling the step.*\n", out)
    assert "network    tiny, 182,778 parameters\n" in summary
    assert "run        40 steps of 8 images, 1.6 epochs\n" in summary
    assert steps.startswith("step 1/40")


def test_a_quiet_run_prints_its_table_alone(whole_run, training):
    """Started again: what it says about that is left out, too."""
    code, out, err = run(*training, f"--workdir={whole_run[0]}", "--quiet")
    assert (code, err) == (0, "")
    assert out.split()[:2] == ["top-1", "error"]


def test_killed_stopped_and_started_again_it_ends_with_the_same_bits(
    training, whole, stopped, tmp_path
):
    workdir = tmp_path / "run"
    shutil.copytree(stopped[0], workdir)
    code, _, err = run(*training, f"--workdir={workdir}")
    assert code == 0, err
    result = json.loads((workdir / "result.json").read_text())
    assert result["parameters_sha256"] == whole[0]["parameters_sha256"]
    assert result["ten_crop"] == whole[0]["ten_crop"]


def test_sigterm_finishes_the_step_saves_and_exits_with_75(training, tmp_path):
    process = start(*training, f"--workdir={tmp_path}")
    wait_for_step(tmp_path, 3)
    process.terminate()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 75, err
    last = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])["step"]
    assert (tmp_path / "checkpoints" / str(last)).is_dir()
    assert err == "stopped by SIGTERM; saved. The same command resumes from here.\n"


def test_sigterm_before_there_is_anything_to_save_ends_it_at_once(training, tmp_path):
    process = start(*training, f"--workdir={tmp_path}/run")
    handles_sigterm = 1 << (signal.SIGTERM - 1)
    while not int(caught_signals(process.pid), 16) & handles_sigterm:
        time.sleep(0.001)
    process.terminate()
    _, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (143, "stopped by SIGTERM, without saving\n")
    assert not (tmp_path / "run").exists()


def caught_signals(pid):
    """The signals that a process has handlers for, as the system writes the set."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return line.split()[1]
    raise AssertionError("no such line")


def test_a_start_that_takes_no_step_does_not_claim_to_have_saved(training, stopped, tmp_path):
    """Or a launcher would start it again forever."""
    workdir, code, err = stopped
    assert code == 75, err
    shutil.copytree(workdir, tmp_path / "run")
    again = start(*training, f"--workdir={tmp_path}/run", program=STOPPED_IN_THE_TEST)
    _, err = again.communicate(timeout=300)
    assert again.returncode == 143
    assert err == "stopped by SIGTERM; nothing new to save. The same command resumes from here.\n"


def test_a_run_whose_console_goes_away_trains_to_its_end(training, whole, tmp_path):
    process = start(*training, f"--workdir={tmp_path}")
    while not process.stdout.readline().startswith("step 1/40"):
        pass
    process.stdout.close()
    process.stderr.close()
    assert process.wait(timeout=300) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["parameters_sha256"] == whole[0]["parameters_sha256"]


def test_help_says_what_it_does_and_exits_with_0():
    code, out, _ = run("--help")
    assert code == 0
    assert out.startswith("Train AlexNet")
    assert "--workdir" in out


@pytest.mark.parametrize(
    ("module", "flag"), [("main", "--print_config:"), ("evaluate", "--checkpoint:")]
)
def test_help_lists_flags_that_several_commands_have(module, flag):
    assert flag in run("--help", module=f"alexnet_jax.{module}")[1]


def test_help_has_a_line_for_a_flag_that_may_be_repeated():
    out = run("--help", module="alexnet_jax.evaluate")[1]
    assert "  --workdir: A run's folder; may be given several times.\n" in out


@pytest.mark.parametrize("module", ["doctor", "evaluate", "predict", "prepare"])
def test_every_command_has_help(module):
    code, out, _ = run("--help", module=f"alexnet_jax.{module}")
    assert (code, "--" in out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workdir=w"], "--config must be given"),
        (["--config=configs/demo.py"], "--workdir must be given"),
        (["--config=configs/no.py", "--workdir=w"], "configs/no.py"),
        (["--config=configs/demo.py", "--workdir=w", "--nonsense=1"], "nonsense"),
        (
            ["--config=configs/demo.py", "--workdir=w", "--config.train.batchsize=4"],
            "config.train.batchsize is unknown; did you mean config.train.batch_size?",
        ),
        (
            ["--config=configs/demo.py", "--workdir=w", "--config.train.batch_size=ten"],
            "batch_size",
        ),
        (
            ["--config=configs/demo.py", "--workdir=w", "--config.schedule.learning_rate=nan"],
            "learning_rate=nan is not a finite number",
        ),
        (
            ["--config=demo", "--workdir=w", "--batch_size=32"],
            "no flag --batch_size; did you mean --config.train.batch_size or "
            "--config.eval.batch_size?",
        ),
        (["--config=demo", "--workdir=w", "--train.seed=3"], "did you mean --config.train.seed?"),
        (["--config=demo", "--wrokdir=w"], "no flag --wrokdir; did you mean --workdir?"),
        (["configs/demo.py", "--workdir=w"], "did you mean --config=configs/demo.py?"),
        (["demo", "--workdir=w"], "did you mean --config=demo?"),
        (
            ["--config=demo", "--workdir=w", "--config.train.batch_size=abc"],
            "--config.train.batch_size=abc should be a whole number",
        ),
        (
            ["--config=demo", "--workdir=w", "--config.augment.flip=maybe"],
            "--config.augment.flip=maybe should be True or False",
        ),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, message):
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_print_config_shows_each_value_and_who_set_it_and_needs_no_workdir():
    code, out, _ = run("--config=one_cnn_star:pretrain", "--config.train.seed=3", "--print_config")
    lines = [line.split() for line in out.splitlines()]
    assert code == 0
    assert ["model.name", "'six_conv'", "configs/one_cnn_star.py"] in lines
    assert ["train.epochs", "8.0", "configs/one_cnn_star.py:pretrain"] in lines
    assert ["train.seed", "3", "command", "line"] in lines
    assert ["train.steps", "unset", "default"] in lines


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def get_config(:", "SyntaxError"),
        ("import sys\nsys.exit(0)", "SystemExit: 0"),
        ("import nowhere_to_be_found", "No module named 'nowhere_to_be_found'"),
        ("def get_config():\n    return None", "returned NoneType, no ConfigDict"),
    ],
)
def test_a_broken_config_file_is_one_line(tmp_path, code, message):
    file = tmp_path / "broken.py"
    file.write_text(code)
    exit_code, _, err = run(f"--config={file}", f"--workdir={tmp_path}/run")
    assert (exit_code, err.count("\n")) == (2, 1)
    assert message in err


def test_a_missing_config_file_is_named(tmp_path):
    exit_code, _, err = run("--config=nowhere.py", f"--workdir={tmp_path}")
    assert (exit_code, err) == (
        2,
        "error: --config=nowhere.py: there is no such file, and no such recipe; the known ones: "
        "automatic, caffe, caffenet, demo, imagenet, large_batch, modern, one_cnn_star, original, "
        "owt, paper_text, small_data\n",
    )


def test_a_truncated_checkpoint_costs_the_user_one_line(whole_run, training, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(whole_run[0], workdir)
    (workdir / "result.json").unlink()
    files = (workdir / "checkpoints" / "40").rglob("ocdbt.process_0/d/*")
    os.truncate(max(files, key=lambda path: path.stat().st_size), 1000)
    exit_code, _, err = run(*training, f"--workdir={workdir}", "--quiet")
    assert (exit_code, err.count("\n")) == (0, 1)
    assert err.startswith("warning: checkpoint 40 cannot be read, trying the one before")
