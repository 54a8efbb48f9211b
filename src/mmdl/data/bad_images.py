"""What of an image data set can't be used, and the errors that say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mmdl.errors import UserError, UserErrors

MOST_LISTED = 20
"""How many bad samples an error lists; the rest is counted by reason."""


@dataclass(frozen=True)
class BadSamples:
    """Samples that can't be used, for one reason.

    Attributes:
        reason: A short phrase; `on_bad_sample=skip` counts by it.
        message: What exactly it is, with the name of the file or folder.
        count: How many samples it is.
    """

    reason: str
    message: str
    count: int = 1


def count_by_reason(bad: Sequence[BadSamples]) -> dict[str, int]:
    """How many samples were left out, by reason."""
    counts: dict[str, int] = {}
    for samples in bad:
        counts[samples.reason] = counts.get(samples.reason, 0) + samples.count
    return counts


def listed(bad: Sequence[BadSamples]) -> UserErrors:
    """The first bad samples as errors, the rest counted."""
    errors = [UserError(samples.message) for samples in bad[:MOST_LISTED]]
    if len(bad) > MOST_LISTED:
        rest = ", ".join(
            f"{count:,} {reason}" for reason, count in count_by_reason(bad[MOST_LISTED:]).items()
        )
        errors.append(UserError(f"and {len(bad) - MOST_LISTED:,} more: {rest}"))
    errors[-1].fix = "mend or remove these, or data.on_bad_sample=skip, which leaves them out and counts them"
    return UserErrors(errors)


def other_classes(given: Sequence[str], wanted: Sequence[str], whose: str) -> UserError:
    """The error for classes that are not those of the run or of another split.

    Args:
        given: Classes of the data.
        wanted: Those that it should have.
        whose: Who has these, such as `the run was trained on`.
    """
    missing, left_over = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
    return UserError(
        f"the data has {len(given):,} classes ({some(given)}), and {whose} {len(wanted):,} ({some(wanted)})"
        + (f"; missing: {some(missing)}" if missing else "")
        + (f"; left over: {some(left_over)}" if left_over else ""),
        valid="the same classes, in any order",
        fix="use data with the run's classes, or train a new run on these",
    )


def some(names: Sequence[str], most: int = 5) -> str:
    """The first names as one line.

    >>> some(["a", "b", "c"], most=2)
    'a, b, ...'
    """
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
