"""The search of the regularisation, and that the test has no part in it."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mmdl.evaluators import probe_fit
from mmdl.evaluators.probe_fit import ProbeData, fit_probe


@pytest.fixture
def parts():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 8))
    labels = rng.integers(0, 3, 210)
    features = centres[labels] + 1.5 * rng.normal(size=(210, 8))
    features[:, 0] *= 100
    cut = [
        ProbeData(features[part], labels[part]) for part in (slice(0, 90), slice(90, 150), slice(150, None))
    ]
    return cut


def test_the_final_fit_takes_train_and_val(parts):
    train, val, test = parts
    found = fit_probe(train, val, test.features)
    scaler = StandardScaler().fit(train.features)
    both = scaler.transform(np.concatenate([train.features, val.features]))
    model = LogisticRegression(C=found.c, max_iter=1000).fit(both, np.concatenate([train.labels, val.labels]))
    assert np.array_equal(found.predictions, model.predict(scaler.transform(test.features)))
    assert found.converged
    assert (found.predictions == test.labels).mean() > 0.6


def test_the_search_finds_the_best_of_validation(parts):
    train, val, test = parts
    found = fit_probe(train, val, test.features)
    scaler = StandardScaler().fit(train.features)
    scores = {}
    for step in range(97):
        c = 10.0 ** (-6 + step / 8)
        model = LogisticRegression(C=c, max_iter=1000).fit(scaler.transform(train.features), train.labels)
        scores[round(np.log10(c), 3)] = model.score(scaler.transform(val.features), val.labels)
    assert scores[round(np.log10(found.c), 3)] >= max(scores.values()) - 0.02  # it is no search of all 97


def test_fits_are_few(parts, monkeypatch):
    made = []
    fit = probe_fit._fit
    monkeypatch.setattr(probe_fit, "_fit", lambda data, c, most: (made.append(c), fit(data, c, most))[1])
    fit_probe(*parts[:2], parts[2].features)
    assert len(made) <= 7 + 2 * 4 + 1
    assert len(set(made[:-1])) == len(made) - 1, "each value is tried once"


def test_without_standardising_and_with_few_iterations(parts):
    train, val, test = parts
    found = fit_probe(train, val, test.features, standardize=False, max_iter=2)
    assert not found.converged
    assert len(found.predictions) == len(test.features)
