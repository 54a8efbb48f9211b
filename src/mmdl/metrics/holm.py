"""Holm's correction of p-values for many comparisons."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """p-values that may be compared with one level however many comparisons were made.

    Whoever rejects where the result is at most 0.05 makes no false rejection at all with a probability of 95%,
    whatever the dependence of the tests. It rejects whatever Bonferroni's correction does, and more.

    Source: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979.

    Args:
        p_values: `(M,)` in [0, 1].

    Returns:
        `(M,)` float64 in [0, 1], in the order given.

    Raises:
        ValueError: If a value lies outside [0, 1] or is not a number.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, dtype=np.float64).ravel()
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("p-values lie in [0, 1]")
    order = np.argsort(values, kind="stable")
    factors = np.arange(values.size, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * factors))
    return adjusted
