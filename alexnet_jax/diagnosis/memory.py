"""Memory and disk: capacity, and use by this process."""

import os
import resource
import shutil
import sys
from pathlib import Path

import jax

from alexnet_jax.errors import UserError


def check_step_fits(step_bytes: int, device_total: int | None, batch_size: int) -> None:
    """Raise UserError if the compiled step needs more memory than a device has."""
    if device_total is not None and step_bytes > device_total:
        raise UserError(
            f"a step of {batch_size} images needs {step_bytes / 1e9:.1f} GB of a device, which has "
            f"{device_total / 1e9:.1f}; {smaller_batches(batch_size)}"
        )


def program_bytes(compiled: jax.stages.Compiled) -> int:
    """Return the memory of each device that a program needs, as its compiler reports it."""
    needs = compiled.memory_analysis()
    assert needs is not None, "XLA's compilers report it"
    results = needs.output_size_in_bytes - needs.alias_size_in_bytes
    return needs.argument_size_in_bytes + results + needs.temp_size_in_bytes


def smaller_batches(batch_size: int) -> str:
    """Return what to do where a step does not fit."""
    return (
        f"give --config.train.microbatch_size={batch_size // 2}, or less, or a smaller "
        "--config.train.batch_size"
    )


def device_memory() -> dict[str, int]:
    """Return JAX's memory statistics of one device; empty if it shares the host's memory."""
    return jax.local_devices()[0].memory_stats() or {}


def read_memory(step_bytes: int, data_dir: Path | None) -> dict[str, int | bool | None]:
    """Read memory use after all measurements, in bytes; None for what is unknown.

    `step_bytes`, by the compiler's report, stands for the peak of a device that reports none;
    `data_dir` is a folder on the disk with the data.
    """
    statistics, page = device_memory(), os.sysconf("SC_PAGE_SIZE")
    peak, pages = statistics.get("peak_bytes_in_use"), Path("/proc/self/statm")
    resident = int(pages.read_text().split()[1]) * page if pages.is_file() else None
    unit = 1 if sys.platform == "darwin" else 1024  # Linux counts in KiB, macOS in bytes.
    host_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {
        "host_total": os.sysconf("SC_PHYS_PAGES") * page,
        "host_resident": resident,
        "host_peak": max(host_peak, resident or 0),  # The kernel's peak lags a little.
        "device_total": statistics.get("bytes_limit"),
        "device_peak": step_bytes if peak is None else peak,
        "device_peak_measured": peak is not None,
        "disk_free": shutil.disk_usage(data_dir).free if data_dir else None,
    }
