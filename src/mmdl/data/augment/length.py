"""Lengths that are given in pixels or as a share of the image's side."""

from __future__ import annotations

from mmdl.errors import UserError


def pixels(length: float, side: int) -> int:
    """A length in pixels: a share of the side below 1, a number of pixels from 1 on.

    >>> pixels(0.125, 32), pixels(4, 32), pixels(0, 32)
    (4, 4, 0)
    """
    return round(length * side) if length < 1 else int(length)


def check_range(key: str, value: float, low: float, high: float) -> None:
    """Refuse a setting outside `[low, high]`.

    Args:
        key: Of the configuration, below `data.augment`.
        value: What was given.
        low: Least valid value.
        high: Greatest valid value.

    Raises:
        UserError: if the value is outside.
    """
    if not low <= value <= high:
        limit = f"a number in [{low:g}, {high:g}]" if high < float("inf") else f"a number from {low:g} on"
        raise UserError(f"data.augment.{key}={value}", valid=limit)
