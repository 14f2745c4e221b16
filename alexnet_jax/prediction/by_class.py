"""The errors of an evaluation by class."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ClassErrors:
    """The errors of one class."""

    label: int
    count: int  # Examples of the class.
    errors: int  # Examples for which another class is the most probable one.
    confused_with: int | None  # The class that is most often predicted instead; None if none is.
    confused: int  # How often.

    @property
    def top1_error(self) -> float:
        """Share of the class's examples, in [0, 1]."""
        return self.errors / self.count


def confused_pairs(labels: np.ndarray, predicted: np.ndarray) -> list[tuple[tuple[int, int], int]]:
    """Count each pair (label, wrong class): the most frequent first, of equal ones the lowest."""
    wrong = labels != predicted
    pairs = Counter(zip(labels[wrong].tolist(), predicted[wrong].tolist(), strict=True))
    return sorted(pairs.items(), key=lambda item: (-item[1], item[0]))


def errors_by_class(labels: np.ndarray, predicted: np.ndarray) -> list[ClassErrors]:
    """Count the errors of each class that has examples.

    Args:
        labels: int [N].
        predicted: int [N], the most probable class of each example.

    Returns:
        The classes, highest error first; of equal errors the first label first.
    """
    counts = np.bincount(labels)
    errors = np.bincount(labels[labels != predicted], minlength=len(counts))
    confused: dict[int, tuple[int, int]] = {}  # By label: the other class, and how often.
    for (label, other), often in confused_pairs(labels, predicted):
        confused.setdefault(label, (other, often))
    found = [
        ClassErrors(label, int(counts[label]), int(errors[label]), *confused.get(label, (None, 0)))
        for label in np.flatnonzero(counts).tolist()
    ]
    return sorted(found, key=lambda each: (-each.top1_error, each.label))


def format_by_class(classes: Sequence[ClassErrors], names: Sequence[str]) -> str:
    """Return a table of the classes, errors in percent; `names` are for people, by label."""
    rows = [("class", "images", "errors", "top-1 error", "most confused with")]
    for each in classes:
        other = ""
        if each.confused_with is not None:
            other = f"{names[each.confused_with]} ({each.confused:,}x)"
        counts = f"{each.count:,}", f"{each.errors:,}", f"{each.top1_error:.2%}"
        rows.append((names[each.label], *counts, other))
    first, *numbers, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = [
        [name.ljust(first), *map(str.rjust, cells, numbers), other] for name, *cells, other in rows
    ]
    return "\n".join("  ".join(line).rstrip() for line in lines)
