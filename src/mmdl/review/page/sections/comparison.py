"""Each comparison on the same test items: the difference with its interval, the tests, and who got what right."""

from __future__ import annotations

from collections.abc import Sequence

from mmdl.review.model import Comparison, Review
from mmdl.review.page.axis import Axis, interval, labels
from mmdl.review.page.marks import bullets
from mmdl.review.page.numbers import interval_words, p_words, score_words
from mmdl.review.page.section import Section, text

OPEN = 2
"""Comparisons whose details are open at first."""


def section(review: Review) -> Section:
    """A row for each comparison on one axis, and below the details of each."""
    if not review.comparisons:
        why = "one run without a baseline" if len(review.runs) == 1 else "no two entrants have scored items"
        return Section("comparison", "Comparison", f'<p class="note">Nothing was compared: {why}.</p>')
    parts = []
    for metric in dict.fromkeys(found.metric for found in review.comparisons):
        same = [found for found in review.comparisons if found.metric == metric]
        parts.append(_forest(metric, same))
    parts.append("<h3>Details</h3>")
    parts += [_details(found, number < OPEN) for number, found in enumerate(review.comparisons)]
    return Section("comparison", "Comparison", "\n".join(parts))


def _forest(metric: str, comparisons: Sequence[Comparison]) -> str:
    ends = [end for found in comparisons for end in (found.difference, *(found.ci95 or ()))]
    axis = Axis(ends, zero=True)
    rows = "".join(_row(found, axis) for found in comparisons)
    return (
        f"<h3>Difference in {text(metric)}, on the same items</h3>"
        '<div class="table"><table class="forest" data-sortable><thead><tr><th scope="col">First</th>'
        '<th scope="col">Second</th><th scope="col" class="number">First minus second</th>'
        '<th scope="col" data-sort="no" class="axis">Paired 95% interval</th><th scope="col">Found</th></tr></thead>'
        f'<tbody>{rows}</tbody><tfoot><tr><td></td><td></td><td></td><td class="axis">{labels(axis)}</td><td></td></tr>'
        "</tfoot></table></div>"
    )


def _row(found: Comparison, axis: Axis) -> str:
    names = f'<td class="name">{text(found.first)}</td><td class="name">{text(found.second)}</td>'
    if found.refused:
        return f'<tr>{names}<td></td><td class="axis"></td><td>{_badge(found)}</td></tr>'
    difference = "" if found.difference is None else f"{found.difference:+.4f}"
    value = "" if found.difference is None else repr(found.difference)
    drawn = interval(
        axis, found.difference, found.ci95, style="shown" if found.shown else "baseline", zero=True
    )
    return (
        f'<tr>{names}<td class="number" data-value="{value}"><span class="score">{difference}</span><br>'
        f'<span class="muted small">{interval_words(found.ci95, sign=True)}</span></td>'
        f'<td class="axis">{drawn}</td><td>{_badge(found)}</td></tr>'
    )


def _badge(found: Comparison) -> str:
    if found.refused:
        return '<span class="badge warn">not compared</span>'
    if found.shown:
        return '<span class="badge ok">difference shown</span>'
    return '<span class="badge">no difference shown</span>'


def _details(found: Comparison, is_open: bool) -> str:
    head = f"<summary>{text(found.first)} against {text(found.second)} {_badge(found)}</summary>"
    body = f'<p class="lead-note">{text(found.verdict)}</p>'
    if found.refused:
        body += (
            f'<div class="gaps"><strong>Why they are not compared</strong><p>{text(found.refused)}</p></div>'
        )
    else:
        body += f'<div class="pair-body"><div>{_scores(found)}{_tests(found)}</div><div>{_counts(found)}</div></div>'
    caveats = bullets(found.caveats, "note")
    return f'<details class="pair"{" open" if is_open else ""}>{head}{body}{caveats}</details>'


def _scores(found: Comparison) -> str:
    facts = [("Items", f"{found.n:,}")]
    if found.clusters and found.clusters != found.n:
        facts.append(("Independent groups of items", f"{found.clusters:,}"))
    if found.values is not None:
        facts += [
            (found.first, score_words(found.values[0])),
            (found.second, score_words(found.values[1])),
        ]
    rows = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in facts)
    return f'<dl class="facts">{rows}</dl>'


def _tests(found: Comparison) -> str:
    if not found.tests:
        return ""
    rows = "".join(
        f'<tr><td>{text(test.name)}</td><td class="number">{text(p_words(test.p))}</td><td class="muted">'
        f"{text(test.detail)}</td></tr>"
        for test in found.tests
    )
    return (
        '<div class="table"><table><thead><tr><th scope="col">Test of "no difference"</th>'
        '<th scope="col" class="number">p-value</th><th scope="col">From</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _counts(found: Comparison) -> str:
    """How many items only the first, only the second, both and neither got right, as one bar."""
    if found.counts is None:
        return ""
    only_first, only_second, both, neither = found.counts
    shown = (
        ("both", "both right", both),
        ("first", f"only {found.first}", only_first),
        ("second", f"only {found.second}", only_second),
        ("neither", "neither", neither),
    )
    total = max(1, sum(found.counts))
    bar = "".join(
        f'<span class="{style}" style="flex:{count} 0 0" title="{text(name)}: {count:,}"></span>'
        for style, name, count in shown
        if count
    )
    key = "".join(
        f'<li class="{style}">{text(name)}: <strong>{count:,}</strong> '
        f'<span class="muted">{100 * count / total:.1f}%</span></li>'
        for style, name, count in shown
    )
    return f'<p class="note">Items by who got them right</p><div class="counts">{bar}</div><ul class="key">{key}</ul>'
