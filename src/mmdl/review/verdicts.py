"""What comparisons say, in one sentence each, after the correction for how many there are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mmdl.metrics.holm import holm
from mmdl.review.model import Comparison, Entrant, SignificanceTest

LEVEL = 0.05

NOUNS = {
    "vqa": ("question", "image"),
    "classification": ("image", ""),
    "retrieval": ("query", "image"),
    "generation": ("item", "image"),
}
"""Kind of items -> what one of them is, and what a cluster of them is."""


class Words(NamedTuple):
    """How an entrant is called in a sentence.

    Attributes:
        name: Such as `vqa (3 seeds)`, or `the question-only baseline of vqa`.
        kind: Of its items; empty where unknown.
        of: Labels of the entrants whose baseline it is.
        short: Beside that entrant: `its question-only baseline`.
    """

    name: str
    kind: str = ""
    of: tuple[str, ...] = ()
    short: str = ""


def judge(comparisons: Sequence[Comparison], words: Mapping[str, Words]) -> None:
    """Decide which differences are shown, and write the verdicts.

    A difference is shown where the 95% interval leaves out 0 and the p-value of the first test, after Holm's correction
    over all comparisons that were made, is at most 0.05.

    Args:
        comparisons: Of a review; verdict, `shown` and tests are filled in. Those that have a verdict stay as they are.
        words: By label.
    """
    made = [c for c in comparisons if not c.verdict and c.tests and c.difference is not None and c.ci95]
    corrected = holm([c.tests[0].p for c in made])
    for found, p in zip(made, corrected.tolist(), strict=True):
        assert found.ci95 is not None
        outside = found.ci95[0] > 0 or found.ci95[1] < 0
        found.shown = outside and p <= LEVEL
        if len(made) > 1:
            detail = f"{found.tests[0].name}, one of {len(made)} comparisons"
            found.tests.append(SignificanceTest("Holm's correction", p, detail))
        found.verdict = _sentence(found, words, p, len(made))
    for found in comparisons:
        if not found.verdict:
            first, second = _pair(found, words)
            found.verdict = f"{first} and {second} are not compared: {found.refused or 'no scores'}"


def _pair(found: Comparison, words: Mapping[str, Words]) -> tuple[str, str]:
    first, second = (words.get(label, Words(label)) for label in (found.first, found.second))
    return first.name, second.short if found.first in second.of else second.name


def _sentence(found: Comparison, words: Mapping[str, Words], p: float, count: int) -> str:
    assert found.ci95 is not None
    assert found.difference is not None
    first, second = _pair(found, words)
    value, (low, high) = found.difference, found.ci95
    items = counted(found, words.get(found.first, Words("")).kind)
    holm_text = f"{p_text(p)} after Holm's correction for {count} comparisons"
    if found.shown:
        if value < 0:
            second, value, low, high = words[found.second].name, -value, -high, -low
            first, second = second, first
        text = f"{first} is better than {second} by {interval_text(value, low, high, items)}"
        return f"{text}; {holm_text}" if count > 1 else text
    text = f"no difference shown between {first} and {second}: {interval_text(value, low, high, items)}"
    if low > 0 or high < 0:
        text += f"; {p_text(found.tests[0].p)}" + (f", {holm_text}" if count > 1 else "")
    return text


def seed_verdict(found: Comparison, entrant: Entrant, label: str) -> None:
    """The verdict on runs that differ in nothing but their seed: never a difference.

    Args:
        found: The best of them against the worst; verdict and caveats are filled in.
        entrant: All of them.
        label: The words for it.
    """
    runs = entrant.runs
    listed = " and ".join(runs) if len(runs) == 2 else f"the {len(runs)} runs of {label}"
    text = f"no difference shown: {listed} differ in their seed only"
    if entrant.deviation is not None:
        digits = digits_of(entrant.deviation)
        low, high = min(entrant.values), max(entrant.values)
        text += (
            f"; from seed to seed {entrant.metric} has a standard deviation of {entrant.deviation:.{digits}f} "
            f"({low:.{digits}f} to {high:.{digits}f})"
        )
    found.verdict = text
    found.shown = False


def counted(found: Comparison, kind: str) -> str:
    """`1,200 questions in 150 images`."""
    item, cluster = NOUNS.get(kind, ("item", ""))
    text = f"{found.n:,} {plural(item, found.n)}"
    if cluster and found.clusters != found.n:
        text += f" in {found.clusters:,} {plural(cluster, found.clusters)}"
    return text


def plural(noun: str, count: int) -> str:
    """`query`, 2 -> `queries`.

    >>> plural("query", 2), plural("image", 1), plural("image", 0)
    ('queries', 'image', 'images')
    """
    if count == 1:
        return noun
    return noun[:-1] + "ies" if noun.endswith("y") else noun + "s"


def interval_text(value: float, low: float, high: float, items: str = "") -> str:
    """A difference with its interval.

    >>> interval_text(0.003, -0.012, 0.018, "90 images")
    '0.003 (95% interval −0.012 to 0.018, 90 images)'
    """
    digits = digits_of((high - low) / 2)
    ends = f"95% interval {signed(low, digits)} to {signed(high, digits)}"
    return f"{signed(value, digits)} ({ends}{', ' + items if items else ''})"


def signed(value: float, digits: int) -> str:
    """A number with a real minus sign, and no minus zero.

    >>> signed(-0.0001, 3), signed(-0.5, 1)
    ('0.000', '−0.5')
    """
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def digits_of(error: float) -> int:
    """Decimals that show a figure which is known up to `error`: two digits of the error, 3 to 6 decimals.

    >>> digits_of(0.04), digits_of(0.0012), digits_of(0.0)
    (3, 4, 3)
    """
    if not error > 0:
        return 3
    return int(np.clip(1 - math.floor(math.log10(error)), 3, 6))


def p_text(p: float) -> str:
    """A p-value for a person.

    >>> p_text(0.0312), p_text(1e-9), p_text(0.7)
    ('p = 0.031', 'p < 0.0001', 'p = 0.70')
    """
    if p < 1e-4:
        return "p < 0.0001"
    return f"p = {p:.2f}" if p >= 0.1 else f"p = {p:.3f}" if p >= 0.001 else f"p = {p:.4f}"
