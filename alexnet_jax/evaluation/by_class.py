"""The errors of an evaluation by class."""

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


def errors_by_class(labels: np.ndarray, predicted: np.ndarray) -> list[ClassErrors]:
    """Count the errors of each class that has examples.

    Args:
        labels: int [N].
        predicted: int [N], the most probable class of each example.

    Returns:
        The classes, highest error first; of equal errors the first label first.
    """
    wrong = labels != predicted
    confused: dict[int, tuple[int, int]] = {}  # By label: the other class, and how often.
    pairs, counts = np.unique(
        np.stack([labels[wrong], predicted[wrong]], axis=1), axis=0, return_counts=True
    )
    for (label, other), count in zip(pairs.tolist(), counts.tolist(), strict=True):
        if count > confused.get(label, (0, 0))[1]:
            confused[label] = other, count
    found = [
        ClassErrors(
            label, count, int(np.sum(wrong[labels == label])), *confused.get(label, (None, 0))
        )
        for label, count in zip(*map(np.ndarray.tolist, np.unique_counts(labels)), strict=True)
    ]
    return sorted(found, key=lambda each: (-each.top1_error, each.label))


def format_by_class(classes: Sequence[ClassErrors], names: Sequence[str]) -> str:
    """Return a table of the classes, errors in per cent; `names` are for people, by label."""
    rows = [("class", "images", "errors", "top-1 error", "most confused with")]
    for each in classes:
        other = "" if each.confused_with is None else names[each.confused_with]
        rows.append(
            (
                names[each.label],
                f"{each.count:,}",
                f"{each.errors:,}",
                f"{each.top1_error:.2%}",
                f"{other} ({each.confused:,}x)" if other else "",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(row[1:4], widths[1:4], strict=True)]
            + [row[4]]
        ).rstrip()
        for row in rows
    )
