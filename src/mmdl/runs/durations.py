"""Times and rates as a person reads them."""

from __future__ import annotations

import math


def duration(seconds: float) -> str:
    """A time in its two largest units.

    Args:
        seconds: At least 0.

    >>> duration(0.4), duration(42.4), duration(125), duration(3725), duration(200_000)
    ('0 s', '42 s', '2 min 05 s', '1 h 02 min', '2 d 07 h')
    >>> duration(59.7), duration(float("inf"))
    ('1 min 00 s', 'unknown')
    """
    if not math.isfinite(seconds):
        return "unknown"
    whole = round(max(0.0, seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600:02} h"


def rate(samples_per_s: float) -> str:
    """Throughput with three digits.

    >>> rate(12_345.6), rate(98.76), rate(3.14159)
    ('12,346 samples/s', '98.8 samples/s', '3.14 samples/s')
    """
    digits = 0 if samples_per_s >= 100 else 1 if samples_per_s >= 10 else 2
    return f"{samples_per_s:,.{digits}f} samples/s"
