"""Bytes that devices send each other, read from the text of a compiled program."""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from alexnet_jax.diagnosis.program_text import array_bytes, executed_lines

# Bytes that each of n devices sends for a result of `size` bytes on each, by the ring algorithms,
# which send the least possible if all devices send equally much.
KINDS: dict[str, Callable[[int, int], float]] = {
    "all-reduce": lambda size, n: 2 * size * (n - 1) / n,  # A reduce-scatter and an all-gather.
    "all-gather": lambda size, n: size * (n - 1) / n,  # Its n-th to each other device.
    "reduce-scatter": lambda size, n: size * (n - 1),  # The result is the slice that it keeps.
    "all-to-all": lambda size, n: size * (n - 1) / n,
    "collective-permute": lambda size, n: size,
}
_COLLECTIVE = re.compile(rf"= (.+?) ({'|'.join(KINDS)})(-start)?\(")


@dataclass(frozen=True)
class Transfer:
    """One collective of a program."""

    kind: str  # One of KINDS.
    bytes_kept: int  # Of the result on each device.
    devices: int  # Size of the group that takes part.
    times: int  # How often the program runs it.

    @property
    def bytes_sent(self) -> float:
        """Bytes that each device sends, in all runs."""
        return self.times * KINDS[self.kind](self.bytes_kept, self.devices)


def read_transfers(program: str, devices: int) -> list[Transfer]:
    """Return the collectives that send something.

    Args:
        program: Text of an optimized HLO module for CPUs: `compiled.as_text()`.
        devices: Number of devices that the program is compiled for.

    Raises:
        ValueError: a collective, or a loop around one, cannot be read.
    """
    transfers = []
    for line, times in executed_lines(program, unknown=0):
        if collective := _COLLECTIVE.search(line):
            if collective[3]:
                raise ValueError(f"an asynchronous collective, as CPUs have none: {line.strip()}")
            if not times:
                raise ValueError(f"a loop of unknown length around a collective: {line.strip()}")
            size, group = array_bytes(collective[1]), _group_size(line, devices)
            transfers.append(Transfer(collective[2], size, group, times))
    return [found for found in transfers if found.devices > 1]


def bytes_by_kind(transfers: Iterable[Transfer]) -> dict[str, float]:
    """Add up what each device sends, by kind of collective."""
    sums: dict[str, float] = {}
    for transfer in transfers:
        sums[transfer.kind] = sums.get(transfer.kind, 0.0) + transfer.bytes_sent
    return sums


def _group_size(line: str, devices: int) -> int:
    """Return how many devices a collective joins, from any of HLO's notations."""
    if pairs := re.search(r"source_target_pairs=\{(.*?)\}\}?,", line):
        return 2 if any(a != b for a, b in re.findall(r"\{?(\d+),(\d+)", pairs[1])) else 1
    if listed := re.search(r"replica_groups=\{\{([\d,]+)\}", line):
        return len(listed[1].split(","))
    if iota := re.search(r"replica_groups=\[\d+,(\d+)\]<=", line):
        return int(iota[1])
    if mesh := re.search(r"replica_groups=mesh\[(.*?)\] ?\{(.*?)\}", line):
        sizes = dict(re.findall(r"'(\w+)'=(\d+)", mesh[1]))
        # A part of an axis reads 'name':(devices before it)devices in it.
        joined = re.findall(r"'(\w+)'(?::\(\d+\)(\d+))?", mesh[2])
        return math.prod(int(part or sizes[name]) for name, part in joined)
    if "replica_groups={}" in line:
        return devices
    raise ValueError(f"a collective whose devices cannot be read: {line.strip()}")
