"""Dividing the GPUs of a machine among trials that run side by side."""

import os
import subprocess

from alexnet_jax.errors import UserError


def divide_gpus(visible: list[str], gpus_per_trial: int) -> list[str]:
    """Return sets of `gpus_per_trial` GPUs, each as a CUDA_VISIBLE_DEVICES.

    Raises:
        UserError: there are not that many, or some would be left over.
    """
    if not visible:
        raise UserError(
            f"--gpus_per_trial={gpus_per_trial}: no GPU is visible here (CUDA_VISIBLE_DEVICES, "
            "nvidia-smi); without it trials run one at a time on what there is"
        )
    if len(visible) % gpus_per_trial:
        fitting = [str(n) for n in range(1, len(visible) + 1) if len(visible) % n == 0]
        raise UserError(
            f"--gpus_per_trial={gpus_per_trial} does not divide the {len(visible)} GPUs here; "
            f"{', '.join(fitting)} do"
        )
    return [
        ",".join(visible[first : first + gpus_per_trial])
        for first in range(0, len(visible), gpus_per_trial)
    ]


def visible_gpus() -> list[str]:
    """Return the names by which CUDA_VISIBLE_DEVICES knows the GPUs that this process may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip()]
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []  # No NVIDIA driver here.
    return listed.stdout.split()
