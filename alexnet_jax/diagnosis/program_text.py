"""The instructions that a compiled program runs, and how often, read from its text."""

import re
from collections.abc import Iterator

_HEADING = re.compile(r"(ENTRY )?%?([\w.\-]+) \(.*\{$")
_LOOP = re.compile(r" while\(.*condition=%?([\w.\-]+), body=%?([\w.\-]+)")
_CALL = re.compile(r" call\(.*to_apply=%?([\w.\-]+)")
_KNOWN_COUNT = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_CONSTANT = re.compile(r" = [su]\d+\[\]\S* constant\((\d+)\)")


def executed_lines(program: str) -> Iterator[tuple[str, int]]:
    """Yield the instructions of a program and of its loops, with the number of times each runs.

    The instructions inside a fusion belong to it and are left out. A loop or a call
    counts as what it runs. A loop counts once where its length depends on the data.

    Args:
        program: the text of an optimized HLO module.
    """
    computations: dict[str, list[str]] = {}
    entry, lines = "", []
    for line in program.splitlines():
        if heading := _HEADING.match(line):
            lines = computations[heading[2]] = []
            entry = heading[2] if heading[1] else entry
        else:
            lines.append(line)
    yield from _walk(computations, entry, 1)


def _walk(computations: dict[str, list[str]], name: str, times: int) -> Iterator[tuple[str, int]]:
    for line in computations[name]:
        if loop := _LOOP.search(line):
            count = _length(line, computations[loop[1]])
            yield from _walk(computations, loop[2], times * count)
        elif call := _CALL.search(line):
            yield from _walk(computations, call[1], times)
        else:
            yield line, times


def _length(loop: str, condition: list[str]) -> int:
    """Return how often a loop runs. XLA counts from 0, and ends at the condition's constant."""
    if known := _KNOWN_COUNT.search(loop):
        return int(known[1])
    constants = [int(found[1]) for line in condition if (found := _CONSTANT.search(line))]
    counts = any("compare(" in line and "direction=LT" in line for line in condition)
    return constants[0] if counts and len(constants) == 1 else 1
