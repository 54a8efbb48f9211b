"""Each comparison on the same test items: the difference with its interval, the tests, and who got what right."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from mmdl.review.browsing.prediction_sets import columns_of_entrants
from mmdl.review.browsing.shown import shown
from mmdl.review.model import Comparison, Review
from mmdl.review.page.axis import Axis, interval, labels
from mmdl.review.page.headline import sentence
from mmdl.review.page.marks import bullets, swatch
from mmdl.review.page.numbers import score_words
from mmdl.review.page.section import Section, text
from mmdl.review.verdicts import digits_of, p_text, signed

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
    unfolded = [found for found in review.comparisons if not found.refused][:OPEN]
    columns = columns_of_entrants(review)
    parts += [_details(found, any(found is one for one in unfolded), columns) for found in review.comparisons]
    return Section("comparison", "Comparison", "\n".join(parts))


def _forest(metric: str, comparisons: Sequence[Comparison]) -> str:
    ends = [end for found in comparisons for end in (found.difference, *(found.ci95 or ()))]
    axis = Axis(ends, zero=True)
    scale = labels(axis) if any(end is not None for end in ends) else ""
    rows = "".join(_row(found, axis) for found in comparisons)
    return (
        f"<h3>Difference in {text(metric)}, on the same items</h3>"
        '<div class="table"><table class="forest" data-sortable><thead><tr><th scope="col">First</th>'
        '<th scope="col">Second</th><th scope="col" class="number">First minus second</th>'
        '<th scope="col" data-sort="no" class="axis">Paired 95% interval</th><th scope="col">Found</th></tr></thead>'
        f'<tbody>{rows}</tbody><tfoot><tr><td></td><td></td><td></td><td class="axis">{scale}</td><td></td></tr>'
        "</tfoot></table></div>"
    )


def _row(found: Comparison, axis: Axis) -> str:
    first, second = _marks(found)
    names = (
        f'<td class="name">{first}{text(found.first)}</td><td class="name">{second}{text(found.second)}</td>'
    )
    if found.refused:
        why = f'<td class="axis muted small">{text(_shortened(found.refused))}</td>'
        return f"<tr>{names}<td></td>{why}<td>{_badge(found)}</td></tr>"
    difference, ends = _difference(found)
    value = "" if found.difference is None else repr(found.difference)
    drawn = interval(
        axis, found.difference, found.ci95, style="shown" if found.shown else "baseline", zero=True
    )
    return (
        f'<tr>{names}<td class="number" data-value="{value}"><span class="score">{difference}</span><br>'
        f'<span class="muted small">{ends}</span></td>'
        f'<td class="axis">{drawn}</td><td>{_badge(found)}</td></tr>'
    )


def _difference(found: Comparison) -> tuple[str, str]:
    """The difference and its interval, with as many digits as the verdict has."""
    if found.difference is None:
        return "", ""
    if found.ci95 is None:
        return f"{found.difference:+.4f}", ""
    low, high = found.ci95
    digits = digits_of((high - low) / 2)
    plus = "+" if found.difference > 0 else ""
    return f"{plus}{signed(found.difference, digits)}", f"[{signed(low, digits)}, {signed(high, digits)}]"


def _shortened(words: str) -> str:
    return words if len(words) <= 140 else f"{words[:139]}…"


def _badge(found: Comparison) -> str:
    if found.refused:
        return '<span class="badge warn">not compared</span>'
    if found.shown:
        return '<span class="badge ok">difference shown</span>'
    return '<span class="badge">no difference shown</span>'


def _details(found: Comparison, is_open: bool, columns: Mapping[str, str]) -> str:
    head = f"<summary>{text(found.first)} against {text(found.second)} {_badge(found)}</summary>"
    body = f'<p class="lead-note">{text(sentence(found.verdict))}</p>'
    if found.refused and found.refused not in found.verdict:
        body += f'<div class="gaps"><strong>Why they are not compared</strong> {text(found.refused)}</div>'
    if not found.refused:
        counts = _counts(found, columns)
        body += f'<div class="pair-body"><div>{_scores(found)}{_tests(found)}</div><div>{counts}</div></div>'
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
        f'<tr><td>{text(test.name)}</td><td class="number">{text(p_text(test.p))}</td><td class="muted">'
        f"{text(test.detail)}</td></tr>"
        for test in found.tests
    )
    return (
        '<div class="table"><table><thead><tr><th scope="col">Test of "no difference"</th>'
        '<th scope="col" class="number">p-value</th><th scope="col">From</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _counts(found: Comparison, columns: Mapping[str, str]) -> str:
    """How many items only the first, only the second, both and neither got right, as one bar."""
    if found.counts is None:
        return ""
    only_first, only_second, both, neither = found.counts
    parts = (
        ("both", "both right", both),
        ("first", f"only {found.first}", only_first),
        ("second", f"only {found.second}", only_second),
        ("neither", "neither", neither),
    )
    total = max(1, sum(found.counts))
    colours = _colours(found)
    bar = "".join(
        f'<span class="{style}"{colours.get(style, "")} style="flex:{count} 0 0" '
        f'title="{text(name)}: {count:,}"></span>'
        for style, name, count in parts
        if count
    )
    key = "".join(
        f'<li class="{style}"{colours.get(style, "")}>{_items(found, style, name, columns)}: '
        f'<strong>{count:,}</strong> <span class="muted">{100 * count / total:.1f}%</span></li>'
        for style, name, count in parts
    )
    return f'<p class="note">Items by who got them right</p><div class="counts">{bar}</div><ul class="key">{key}</ul>'


def _items(found: Comparison, pair: str, name: str, columns: Mapping[str, str]) -> str:
    """The name; of two that the browser of predictions has, a button that shows these items in it."""
    first, second = columns.get(found.first), columns.get(found.second)
    if first is None or second is None:
        return text(name)
    wanted = {"metric": found.metric, "run": shown(first, 80), "other": shown(second, 80), "pair": pair}
    return f'<button type="button" class="link" data-predictions="{text(json.dumps(wanted))}">{text(name)}</button>'


def _runs(found: Comparison) -> tuple[str, str]:
    """The run whose colour stands for each of the two; a baseline that the first run has too has none."""
    first = found.first_runs[0] if found.first_runs else ""
    second = found.second_runs[0] if found.second_runs else ""
    return first, "" if first in found.second_runs else second


def _marks(found: Comparison) -> tuple[str, str]:
    first, second = _runs(found)
    return swatch(first) if first else "", swatch(second) if second else ""


def _colours(found: Comparison) -> dict[str, str]:
    first, second = _runs(found)
    return {"first": f' data-colour="{text(first)}"', "second": f' data-colour="{text(second)}"'}
