"""Calibration: whether what a run says with 80% confidence is right in 80% of the cases."""

from __future__ import annotations

import numpy as np

from mmdl.review.browsing.prediction_sets import Column, PredictionSet, prediction_sets
from mmdl.review.browsing.reliability import Reliability, reliability
from mmdl.review.browsing.shown import shown
from mmdl.review.model import Review
from mmdl.review.page.section import Section, text

MOST = 12
"""Diagrams of one set of items."""
SIDE, LEFT, TOP, HEIGHT = 240, 42, 8, 56
"""Pixels: of the diagram, before it, above it, and of the histogram below it."""


def section(review: Review) -> Section | None:
    """One diagram a run; says where none can be drawn. None where no run classifies or answers."""
    parts = [_set(found) for found in prediction_sets(review)[0] if found.kind in ("classification", "vqa")]
    return (
        Section("calibration", "Calibration", "".join(parts), None, ("calibration.css",)) if parts else None
    )


def _set(found: PredictionSet) -> str:
    own = [column for column in found.columns if not column.baseline]
    drawn = "".join(_column(column, found) for column in own[:MOST])
    left = f'<p class="note">{len(own) - MOST:,} more runs are not drawn.</p>' if len(own) > MOST else ""
    soft = " Accuracy is the mean VQA score." if found.kind == "vqa" else ""
    return (
        f"<h3>{text(shown(found.split, 40))} · {'answers' if found.kind == 'vqa' else 'classes'}</h3>"
        '<p class="note">Confidence is the probability of the first answer. A run that is calibrated lies on the '
        f"diagonal; below it, it claims too much.{soft} Bars are 95% intervals; columns below: how many items.</p>"
        f'<div class="diagrams">{drawn}</div>{left}'
    )


def _column(column: Column, found: PredictionSet) -> str:
    name = text(shown(column.label, 80))
    confidence = column.values[:, 0].astype(np.float64)
    known = column.answered & np.isfinite(column.scores) & (confidence >= 0) & (confidence <= 1)
    if not known.any():
        why = (
            "its predictions have no probabilities"
            if column.answered.any()
            else "it has no scored predictions"
        )
        return (
            f'<figure class="diagram"><figcaption><b>{name}</b> can\'t be drawn: {why}.</figcaption></figure>'
        )
    # float32 0.9 is not 0.9: the figures of the file had at most 6 digits
    bins = reliability(np.round(confidence[known], 6), column.scores[known])
    overall = float(np.mean(column.scores[known]) - np.mean(confidence[known]))
    lean = "claims too little" if overall > 0 else "claims too much"
    return (
        f'<figure class="diagram"><figcaption><b>{name}</b><br>'
        f'<span class="muted">expected calibration error</span> <b>{bins.error:.4f}</b> '
        f'<span class="muted">({bins.n:,} items; on average it {lean}, by {abs(overall):.3f})</span></figcaption>'
        f"{_drawing(bins, shown(column.label, 80))}{_table(bins)}</figure>"
    )


def _drawing(bins: Reliability, label: str) -> str:
    def x(value: float) -> float:
        return LEFT + SIDE * value

    def y(value: float) -> float:
        return TOP + SIDE * (1 - value)

    parts = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<path class="grid" d="M{x(0)} {y(share):.1f}H{x(1)}M{x(share):.1f} {y(0)}V{y(1)}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(share) + 4:.1f}" text-anchor="end">{share:g}</text>')
        parts.append(f'<text x="{x(share):.1f}" y="{TOP + SIDE + 15}" text-anchor="middle">{share:g}</text>')
    parts.append(f'<path class="ideal" d="M{x(0)} {y(0)}L{x(1)} {y(1)}"/>')
    base, most = TOP + SIDE + 26 + HEIGHT, max(int(bins.samples.max()), 1)
    line = []
    for low, high, n, mean, accuracy, least, greatest in _rows(bins):
        said = (
            f"confidence {low:.2f} to {high:.2f}: {n:,} items, mean confidence {mean:.3f}, accuracy {accuracy:.3f} "
            f"({least:.3f} to {greatest:.3f})"
        )
        size = HEIGHT * n / most
        parts.append(
            f'<g class="bin"><title>{said}</title><rect class="count" x="{x(low) + 1:.1f}" y="{base - size:.1f}" '
            f'width="{SIDE / len(bins.samples) - 2:.1f}" height="{max(size, 1):.1f}"/>'
            f'<path class="gap" d="M{x(mean):.1f} {y(mean):.1f}V{y(accuracy):.1f}"/>'
            f'<path class="spread" d="M{x(mean):.1f} {y(least):.1f}V{y(greatest):.1f}"/>'
            f'<circle cx="{x(mean):.1f}" cy="{y(accuracy):.1f}" r="{3 + 3 * (n / most) ** 0.5:.1f}"/></g>'
        )
        line.append(f"{x(mean):.1f} {y(accuracy):.1f}")
    parts.append(f'<path class="line" d="M{"L".join(line)}"/>')
    parts.append(f'<path class="grid" d="M{x(0)} {base}H{x(1)}"/>')
    parts.append(f'<text x="{LEFT - 6}" y="{base - HEIGHT + 8}" text-anchor="end">{_short(most)}</text>')
    width, height = LEFT + SIDE + 12, base + 4
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="Reliability of {text(label)}: expected calibration error {bins.error:.4f}">{"".join(parts)}</svg>'
    )


def _table(bins: Reliability) -> str:
    rows = "".join(
        f'<tr><td>{low:.2f} to {high:.2f}</td><td class="number">{n:,}</td><td class="number">{mean:.3f}</td>'
        f'<td class="number">{accuracy:.3f}</td><td class="number">{least:.3f} to {greatest:.3f}</td></tr>'
        for low, high, n, mean, accuracy, least, greatest in _rows(bins)
    )
    heads = "".join(
        f'<th scope="col" class="number">{name}</th>' for name in ("n", "mean", "accuracy", "95%")
    )
    return (
        '<details><summary>As a table</summary><div class="table"><table><thead><tr><th scope="col">confidence</th>'
        f"{heads}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def _rows(bins: Reliability) -> list[tuple[float, float, int, float, float, float, float]]:
    """The bins that are not empty: edges, count, mean confidence, accuracy and its interval."""
    columns = (
        bins.edges[:-1],
        bins.edges[1:],
        bins.samples,
        bins.confidence,
        bins.accuracy,
        bins.low,
        bins.high,
    )
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [row for row in rows if row[2]]


def _short(n: int) -> str:
    return f"{n / 1000:.3g}k" if n >= 1000 else str(n)
