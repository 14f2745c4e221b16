"""Running trials on this machine: one at a time on each set of devices."""

import time
from collections.abc import Sequence

from alexnet_jax.sweeps.planned_trial import PlannedTrial
from alexnet_jax.sweeps.reporting import Failure, Reporter
from alexnet_jax.sweeps.trial_process import TrialProcess, Tries
from alexnet_jax.training.preemption import PreemptionGuard

_SECONDS_BETWEEN_LOOKS = 0.1


def run_local(
    trials: Sequence[PlannedTrial], device_sets: Sequence[str | None], reporter: Reporter
) -> None:
    """Run `trials`; one that fails does not stop the others.

    One that was preempted and has saved, or whose machine failed it, starts again: see `Tries`.

    Args:
        trials: those that have no result yet.
        device_sets: a CUDA_VISIBLE_DEVICES each; None: every device of the machine.
        reporter: is told what happens.

    Raises:
        Preempted: SIGTERM or Ctrl-C came; the trials that were running have saved and ended.
    """
    waiting = list(trials)
    tries = {trial: Tries() for trial in trials}
    free = list(device_sets)
    running: dict[PlannedTrial, tuple[TrialProcess, str | None]] = {}
    with PreemptionGuard() as stop:
        while waiting or running:
            while waiting and free:
                trial, devices = waiting.pop(0), free.pop(0)
                process = TrialProcess(trial.arguments, trial.workdir, devices)
                running[trial] = process, devices
                reporter.started(trial, devices)
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            if stop.received:
                reporter.say(f"stopping {len(running)} trial(s), which save first ...")
                _stop_all([process for process, _ in running.values()])
            stop.raise_if_preempted()
            for trial in [trial for trial in running if running[trial][0].poll() is not None]:
                process, devices = running.pop(trial)
                free.append(devices)
                code = process.wait()
                if code == 0:
                    reporter.finished(trial)
                    continue
                failure = Failure(code, process.last_words())
                if tries[trial].again(code):
                    reporter.interrupted(trial, failure)
                    waiting.append(trial)
                else:
                    reporter.failed(trial, failure)


def _stop_all(processes: Sequence[TrialProcess]) -> None:
    for process in processes:
        process.stop()
    for process in processes:
        process.wait()
