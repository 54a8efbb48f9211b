"""McNemar's exact test: do two models get equally many of the same samples right?"""

from __future__ import annotations

from scipy.special import bdtr


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value of McNemar's test.

    Samples that both get right, or both wrong, say nothing about which is better. Of the others, one model alone gets
    each right; if neither is better, a fair coin decides which: a binomial test of the two counts.

    It takes samples as independent. Where they are not (the questions of one image), use `paired_permutation_test`
    with clusters.

    Source: McNemar, "Note on the sampling error of the difference between correlated proportions or percentages", 1947;
    Dietterich, "Approximate Statistical Tests for Comparing Supervised Classification Learning Algorithms", 1998.

    Args:
        only_first: Samples that only the first model gets right, at least 0.
        only_second: Samples that only the second gets right, at least 0.

    Returns:
        The p-value, in (0, 1]; 1 where the models agree on every sample.

    Raises:
        ValueError: If a count is negative.

    >>> round(mcnemar(1, 9), 4), mcnemar(0, 0)
    (0.0215, 1.0)
    """
    if min(only_first, only_second) < 0:
        raise ValueError(f"counts must not be negative: {only_first}, {only_second}")
    # scipy.stats.binomtest gives the same, and takes a second to import
    return float(min(1.0, 2 * bdtr(min(only_first, only_second), only_first + only_second, 0.5)))
