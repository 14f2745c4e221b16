"""What a compiled program runs, how often, and the size of its arrays, read from its text."""

import math
import re
from collections.abc import Iterator

_HEADING = re.compile(r"(ENTRY )?%?([\w.\-]+) \(.*\{$")
_LOOP = re.compile(r" while\(.*condition=%?([\w.\-]+), body=%?([\w.\-]+)")
_CALL = re.compile(r" call\(.*to_apply=%?([\w.\-]+)")
_KNOWN_COUNT = re.compile(r'known_trip_count"?:\{"n":"(\d+)"')
_CONSTANT = re.compile(r" = [su]\d+\[\]\S* constant\((\d+)\)")
_ARRAY = re.compile(r"\b(?:pred|(?:bf|[suf])(\d+)\w*)\[([\d,]*)\]")
_ON_CHIP = re.compile(r"\w+\[[\d,]*\]\{[^}]*S\(\d\)\}")  # A memory space that is not the large one.


def executed_lines(program: str, unknown: int = 1) -> Iterator[tuple[str, int]]:
    """Yield the instructions of an optimized HLO module, with the number of times each runs.

    The instructions inside a fusion belong to it and are left out. A loop or a call
    counts as what it runs. A loop whose length depends on the data counts `unknown` times.
    """
    computations: dict[str, list[str]] = {}
    entry, lines = "", []
    for line in program.splitlines():
        if heading := _HEADING.match(line):
            lines = computations[heading[2]] = []
            entry = heading[2] if heading[1] else entry
        else:
            lines.append(line)

    def walk(name: str, times: int) -> Iterator[tuple[str, int]]:
        for line in computations[name]:
            if loop := _LOOP.search(line):
                known = _KNOWN_COUNT.search(line)
                count = int(known[1]) if known else _count_from(computations[loop[1]], unknown)
                yield from walk(loop[2], times * count)
            elif call := _CALL.search(line):
                yield from walk(call[1], times)
            else:
                yield line, times

    yield from walk(entry, 1)


def array_bytes(shapes: str) -> int:
    """Return the size of all arrays in a text such as "(bf16[2,3]{1,0}, pred[])"."""
    return sum(
        # "pred" is a byte, and so is what has fewer bits.
        max(1, int(bits or 8) // 8) * math.prod(int(side) for side in sides.split(",") if side)
        for bits, sides in _ARRAY.findall(shapes)
    )


def off_chip(shapes: str) -> str:
    """Return the shapes without the arrays that a TPU's program keeps on the chip."""
    return _ON_CHIP.sub("", shapes)


def _count_from(condition: list[str], unknown: int) -> int:
    """Return how often a loop runs. XLA counts from 0, and ends at the condition's constant."""
    constants = [int(found[1]) for line in condition if (found := _CONSTANT.search(line))]
    counts = any("compare(" in line and "direction=LT" in line for line in condition)
    return constants[0] if counts and len(constants) == 1 else unknown
