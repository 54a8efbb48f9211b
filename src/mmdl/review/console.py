"""A review as lines for the console."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from mmdl.review.model import Comparison, Entrant, Review, RunView
from mmdl.review.seed_spread import SEEDS_ONLY
from mmdl.review.verdicts import digits_of, p_text
from mmdl.runs.durations import duration

MOST_ROWS = 40
MOST_KEYS = 15
MOST_VERDICTS = 20
MOST_SPREADS = 3
MOST_SETTINGS = 3
LEFT = (0, 1, 7, 8)
"""Columns of the table that begin at the left."""

NO_VALUE = "-"


def lines(review: Review) -> Iterator[str]:
    """What `mmdl review` prints, without where the page is; text of runs can't steer the terminal."""
    for line in _lines(review):
        yield "".join(sign if sign.isprintable() else "\ufffd" for sign in line)


def _lines(review: Review) -> Iterator[str]:
    yield from _table(review)
    yield from _verdicts(review.comparisons)
    yield from _differences(review)
    yield from _block("notes", review.notes)
    gaps = [f"{run.id}: {gap}" for run in review.runs for gap in run.gaps]
    yield from _block("gaps", gaps)


def _block(title: str, found: Sequence[str], most: int = MOST_VERDICTS) -> Iterator[str]:
    if not found:
        return
    yield ""
    yield title
    yield from (f"  {line}" for line in found[:most])
    if len(found) > most:
        yield f"  and {len(found) - most:,} more; all are on the page"


def _table(review: Review) -> Iterator[str]:
    runs = {run.id: run for run in review.runs}
    columns = ["", "score", "n", "runs", "time", "samples", "FLOPs", "state", "settings"]
    shown = 0
    for metric, group in groupby(review.entrants, key=lambda one: one.metric):
        entrants = list(group)
        if shown:
            yield ""
        rows = [[*_row(one, runs), _settings(one, review)] for one in entrants[: max(3, MOST_ROWS - shown)]]
        head = [metric or "no metric", *columns[1:]]
        widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
        kept = [c for c in range(len(head)) if c == 0 or any(row[c] not in ("", NO_VALUE) for row in rows)]
        for row in [head, *rows]:
            cells = [row[c].ljust(widths[c]) if c in LEFT else row[c].rjust(widths[c]) for c in kept]
            yield "  ".join(cells).rstrip()
        if len(entrants) > len(rows):
            yield f"and {len(entrants) - len(rows):,} more; all are on the page"
        shown += len(rows)


def _row(one: Entrant, runs: dict[str, RunView]) -> list[str]:
    states = list(dict.fromkeys(runs[run].state for run in one.runs if run in runs))
    seconds = [value for value in one.seconds if value is not None]
    return [
        one.label,
        score_text(one),
        f"{one.n:,}" if one.n is not None else NO_VALUE,
        str(len(one.runs)) if not one.baseline else "",
        _time(_mean(seconds)) if seconds else NO_VALUE if not one.baseline else "",
        _amount(one.samples, one),
        _amount(one.flops, one),
        "" if one.baseline else ", ".join(states),
    ]


def _settings(one: Entrant, review: Review) -> str:
    """The keys that tell entrants apart, where they are few and the label does not say them."""
    keys = [difference for difference in review.differences if difference.key != "seed"]
    if one.baseline or not one.runs or not 1 <= len(keys) <= MOST_SETTINGS:
        return ""
    found = {d.key.rpartition(".")[2]: d.values.get(one.runs[0], "") for d in keys}
    words = [f"{key}={value if len(value) <= 24 else value[:23] + '…'}" for key, value in found.items()]
    return " ".join(word for word in words if word not in one.label.split())


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else duration(seconds)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _amount(values: Sequence[float | None], one: Entrant) -> str:
    """The mean over runs with a prefix of a thousand.

    Samples and FLOPs of a baseline are not known.
    """
    known = [value for value in values if value is not None]
    if not known:
        return "" if one.baseline else NO_VALUE
    value = _mean(known)
    for factor, sign in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g}{sign}"
    return f"{value:.0f}"


def score_text(one: Entrant) -> str:
    """A score with its interval over items, or its deviation over runs.

    >>> from mmdl.review.model import Entrant
    >>> score_text(Entrant("a", ["a", "b"], values=[0.71, 0.73], mean=0.72, deviation=0.0141))
    '0.720 ± 0.014'
    >>> score_text(Entrant("a", ["a"], values=[0.72], mean=0.72, ci95=(0.68, 0.76)))
    '0.720 [0.680, 0.760]'
    """
    if one.mean is None:
        return NO_VALUE
    if one.deviation is not None:
        digits = digits_of(one.deviation)
        return f"{one.mean:.{digits}f} ± {one.deviation:.{digits}f}"
    if one.ci95 is not None:
        digits = digits_of((one.ci95[1] - one.ci95[0]) / 2)
        return f"{one.mean:.{digits}f} [{one.ci95[0]:.{digits}f}, {one.ci95[1]:.{digits}f}]"
    return f"{one.mean:.4f}"


def _verdicts(comparisons: Sequence[Comparison]) -> Iterator[str]:
    yield ""
    yield "verdicts"
    if not comparisons:
        yield "  nothing to compare: one entrant, and no baseline with predictions"
    said: set[str] = set()
    spreads = [found for found in comparisons if found.verdict.startswith(SEEDS_ONLY)]
    left_out = spreads[MOST_SPREADS:]
    shown = [found for found in comparisons if found not in left_out][:MOST_VERDICTS]
    for found in shown:
        yield f"  {found.verdict}"
        if found.tests:
            yield "      " + "; ".join(f"{test.name}: {p_text(test.p)}" for test in found.tests)
        for caveat in found.caveats:
            if caveat not in said:
                yield f"      {caveat}"
            said.add(caveat)
    if len(comparisons) > len(shown):
        yield f"  and {len(comparisons) - len(shown):,} more; all are on the page"


def _differences(review: Review) -> Iterator[str]:
    found = [difference for difference in review.differences if difference.key != "seed"]
    rows = []
    for difference in found:
        by_value: dict[str, list[str]] = {}
        for run, value in difference.values.items():
            by_value.setdefault(value, []).append(run)
        texts = [f"{value} ({_some(runs)})" for value, runs in list(by_value.items())[:4]]
        more = f", and {len(by_value) - 4} more" if len(by_value) > 4 else ""
        rows.append(f"{difference.key}: {', '.join(texts)}{more}")
    yield from _block("differing keys", rows, MOST_KEYS)


def _some(runs: Sequence[str]) -> str:
    return ", ".join(runs) if len(runs) <= 3 else f"{len(runs)} runs"
