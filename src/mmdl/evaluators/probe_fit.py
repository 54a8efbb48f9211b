"""Fits the linear classifier of a linear probe: logistic regression, its regularisation chosen on validation."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FIRST_EXPONENTS = (-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0)
"""Powers of ten of `C` that are tried first."""

FINEST_STEP = 1 / 8
"""Of the exponent: the search stops at eight steps a decade."""


class ProbeData(NamedTuple):
    """Features with their classes.

    Attributes:
        features: `(N, D)` floats.
        labels: `(N,)` int64.
    """

    features: NDArray[np.floating[Any]]
    labels: NDArray[np.int64]


class FittedProbe(NamedTuple):
    """What a probe says of the test images.

    Attributes:
        predictions: `(N,)` int64 classes.
        c: Inverse strength of the regularisation that was chosen.
        converged: Whether L-BFGS came to its end within the iterations.
    """

    predictions: NDArray[np.int64]
    c: float
    converged: bool


def fit_probe(
    train: ProbeData,
    val: ProbeData,
    test_features: NDArray[np.floating[Any]],
    standardize: bool = True,
    max_iter: int = 1000,
) -> FittedProbe:
    """Choose `C` on validation, fit on train and validation together, and predict.

    The search is that of CLIP (Radford et al. 2021, arXiv:2103.00020, appendix A.3): seven values from 1e-6 to 1e6,
    then the interval around the best one is halved until there are eight steps a decade; as there, the final fit
    takes the validation images in. The test images have no part in any choice.

    Args:
        train: To fit on.
        val: To choose by.
        test_features: `(N, D)`.
        standardize: Bring each feature to mean 0 and deviation 1 over the training images.
        max_iter: Of L-BFGS.
    """
    from sklearn.preprocessing import StandardScaler

    if standardize:
        scaler = StandardScaler().fit(train.features)
        train = train._replace(features=scaler.transform(train.features))
        val = val._replace(features=scaler.transform(val.features))
        test_features = scaler.transform(test_features)
    scores: dict[float, float] = {}

    def score(exponent: float) -> float:
        if exponent not in scores:
            found = _fit(train, 10.0**exponent, max_iter).predict(val.features)
            scores[exponent] = float((found == val.labels).mean())
        return scores[exponent]

    def best() -> float:
        return max(sorted(scores), key=lambda exponent: scores[exponent])  # of equal ones the strongest

    for exponent in FIRST_EXPONENTS:
        score(exponent)
    step = FIRST_EXPONENTS[1] - FIRST_EXPONENTS[0]
    while step > FINEST_STEP:
        step /= 2
        middle = best()
        for exponent in (middle - step, middle + step):
            if FIRST_EXPONENTS[0] <= exponent <= FIRST_EXPONENTS[-1]:
                score(exponent)
    both = ProbeData(
        np.concatenate([train.features, val.features]), np.concatenate([train.labels, val.labels])
    )
    c = 10.0 ** best()
    final = _fit(both, c, max_iter)
    return FittedProbe(final.predict(test_features), c, bool(final.n_iter_.max() < max_iter))


def _fit(data: ProbeData, c: float, max_iter: int) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said once, of the final fit
        return LogisticRegression(C=c, max_iter=max_iter, random_state=0).fit(data.features, data.labels)
