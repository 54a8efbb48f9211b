"""A prediction in one line of words."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

MOST_CLASSES = 4


def percent(probability: float) -> str:
    """A probability in whole percent that never says 0% or 100% of what is neither.

    >>> percent(0.904), percent(0.9999), percent(1e-7), percent(1.0)
    ('90%', '>99%', '<1%', '100%')
    """
    if 0.995 <= probability < 1:
        return ">99%"
    if 0 < probability < 0.005:
        return "<1%"
    return f"{probability:.0%}"


def prediction_line(classes: Sequence[str], probabilities: Tensor) -> str:
    """The most probable classes, down to the one that makes no difference any more.

    Args:
        classes: `K` names.
        probabilities: `(K,)`.

    >>> import torch
    >>> prediction_line(["cat", "dog"], torch.tensor([0.1, 0.9]))
    'dog 90%, cat 10%'
    """
    values, order = probabilities.double().sort(descending=True, stable=True)
    shown = [
        f"{classes[k]} {percent(p)}"
        for place, (k, p) in enumerate(zip(order.tolist(), values.tolist(), strict=True))
        if place == 0 or (place < MOST_CLASSES and p >= 0.005)
    ]
    return ", ".join(shown)
