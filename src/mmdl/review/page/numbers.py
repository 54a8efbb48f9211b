"""Figures as the page writes them."""

from __future__ import annotations

import math
from collections.abc import Sequence


def figure_words(value: float | None) -> str:
    """A figure with four decimals, or with four digits where it is large or tiny.

    >>> figure_words(0.34583333), figure_words(522648.0), figure_words(3.2e-6), figure_words(7.0)
    ('0.3458', '522,648', '3.2e-06', '7')
    >>> figure_words(None), figure_words(float("nan"))
    ('not a number', 'not a number')
    """
    if value is None or math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    if value == int(value) and abs(value) < 1e12:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.1f}" if abs(value) < 1e7 else f"{value:.3e}"
    return f"{value:.4f}" if abs(value) >= 1e-3 else f"{value:.3g}"


def score_words(value: float | None) -> str:
    """A score, with four decimals always, so that scores below each other line up.

    >>> score_words(1.0), score_words(0.97222), score_words(None)
    ('1.0000', '0.9722', 'none')
    """
    if value is None:
        return "none"
    return f"{value:.4f}" if math.isfinite(value) and abs(value) < 1000 else figure_words(value)


def interval_words(ends: Sequence[float]) -> str:
    """An interval.

    >>> interval_words((0.2791, 0.41944))
    '[0.2791, 0.4194]'
    """
    return f"[{ends[0]:.4f}, {ends[1]:.4f}]"
