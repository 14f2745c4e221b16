"""Memory and disk: what there is, and what this process has taken."""

import os
import resource
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import jax

from alexnet_jax.errors import UserError


@dataclass(frozen=True)
class Memory:
    """Bytes.

    Attributes:
        host_total: of the machine.
        host_resident: of this process now; None where the system does not say.
        host_peak: the most that this process has had.
        device_total: of one device; None where it shares the host's.
        device_peak: the most that was taken of one device; by the compiler's account where the
            device does not say.
        device_peak_measured: whether the device said so.
        disk_free: beside the data; None where there are none.
    """

    host_total: int
    host_resident: int | None
    host_peak: int
    device_total: int | None
    device_peak: int
    device_peak_measured: bool
    disk_free: int | None


def device_bytes() -> int | None:
    """Return the memory of one device; None where it shares the host's."""
    return (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")


def check_step_fits(step_bytes: int, device_total: int | None, batch_size: int) -> None:
    """Raise UserError where the compiled step needs more than a device has."""
    if device_total is not None and step_bytes > device_total:
        raise UserError(
            f"a step of {batch_size} images needs {step_bytes / 1e9:.1f} GB of a device, which has "
            f"{device_total / 1e9:.1f}; give --config.train.microbatch_size={batch_size // 2}, or "
            "less, or a smaller --config.train.batch_size"
        )


def read_memory(step_bytes: int, data_dir: Path | None) -> Memory:
    """Look at memory after everything has run.

    Args:
        step_bytes: what the compiler says that the step takes of a device.
        data_dir: where the data lie.
    """
    statistics = jax.local_devices()[0].memory_stats() or {}
    peak = statistics.get("peak_bytes_in_use")
    return Memory(
        host_total=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        host_resident=_resident(),
        # Linux counts in KiB, macOS in bytes.
        host_peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        * (1 if sys.platform == "darwin" else 1024),
        device_total=device_bytes(),
        device_peak=step_bytes if peak is None else peak,
        device_peak_measured=peak is not None,
        disk_free=shutil.disk_usage(data_dir).free if data_dir else None,
    )


def _resident() -> int | None:
    pages = Path("/proc/self/statm")
    if not pages.is_file():
        return None
    return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
