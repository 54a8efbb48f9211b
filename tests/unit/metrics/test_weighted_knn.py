"""The weighted vote against scikit-learn's neighbours."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from mmdl.metrics import weighted_knn as module
from mmdl.metrics.weighted_knn import weighted_knn


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(0)
    cloud = torch.nn.functional.normalize(
        torch.randn(230, 8, generator=generator, dtype=torch.float64), dim=1
    )
    return cloud[:200], torch.randint(0, 4, (200,), generator=generator), cloud[200:]


@pytest.mark.parametrize("k", [1, 5, 20])
def test_equals_scikit_learn(features, k):
    bank, labels, queries = features
    reference = KNeighborsClassifier(
        k, metric="euclidean", algorithm="brute", weights=lambda d: np.exp((1 - d**2 / 2) / 0.07)
    ).fit(bank.numpy(), labels.numpy())
    votes = weighted_knn(queries, bank, labels, 4, k)
    assert votes.numpy() == pytest.approx(reference.predict_proba(queries.numpy()))


def test_chunks_change_nothing_and_k_may_exceed_the_bank(features, monkeypatch):
    bank, labels, queries = features
    whole = weighted_knn(queries, bank, labels, 4, 1000)
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 450)
    assert weighted_knn(queries, bank, labels, 4, 200).numpy() == pytest.approx(whole.numpy())
    assert whole.sum(1).numpy() == pytest.approx(1)
