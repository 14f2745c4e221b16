"""The run that the tests train: six steps of the demo."""

import json
import time
from pathlib import Path

from configs import demo

REPOSITORY = Path(__file__).parent.parent
FRACTALS = "fractals/demo_20"
# The demo as the commands train it that tests start: one program for runs of any length.
SMALL = (
    f"--config.data.name={FRACTALS}",
    "--config.train.batch_size=8",
    "--config.schedule.name=constant",
    "--config.eval.batch_size=24",
)


def short_config(data_dir):
    """The demo's config, cut to six steps of 32 images; a test every four steps."""
    config = demo.get_config()
    config.data.update(dir=str(data_dir), name=FRACTALS)
    config.train.update(batch_size=32, steps=6)
    config.schedule.name = "constant"  # One compiled step for runs of any length.
    config.eval.update(every_steps=4, batch_size=24)
    config.checkpoint.every_steps = 2
    config.log.every_steps = 2
    # Compiled in half of the time. Fast forms train in the golden run and in tests of commands.
    config.model.kernels = "plain"
    return config


def read_lines(workdir):
    """Return the log of a run, a dict a line."""
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def checkpoint_steps(workdir):
    """Return the steps whose checkpoints are kept."""
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir())


def wait_for_step(workdir, step):
    """Wait until the log of a run tells of `step`; ten minutes are more than any machine takes."""
    log = workdir / "metrics.jsonl"
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        if log.exists() and any(
            json.loads(line)["step"] >= step
            for line in log.read_text().splitlines(True)
            if line.endswith("\n")
        ):
            return
        time.sleep(0.05)
    raise AssertionError(f"{log} never reached step {step}")
