import numpy as np
import pytest
import torch
from sklearn import metrics
from torchmetrics.functional.classification import multiclass_accuracy

from mmdl.metrics import top_k_accuracy as module
from mmdl.metrics.top_k_accuracy import top_k_accuracy


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("classes", [6, 40])
def test_equals_scikit_learn_and_torchmetrics(k, classes):
    rng = np.random.default_rng(k)
    scores = rng.random((500, classes)).astype(np.float32)
    labels = rng.integers(0, classes, 500)
    found = top_k_accuracy(scores, labels, k)
    assert found == metrics.top_k_accuracy_score(labels, scores, k=k, labels=np.arange(classes))
    theirs = multiclass_accuracy(
        torch.from_numpy(scores), torch.from_numpy(labels), classes, average="micro", top_k=k
    )
    assert found == pytest.approx(float(theirs), abs=1e-6)


def test_ties_go_to_the_lower_number_as_in_the_files_of_predictions(case):
    probabilities, labels = case
    best = np.argsort(-probabilities, axis=1, kind="stable")
    for k in (1, 2, 5):
        expected = (best[:, :k] == labels[:, None]).any(1).mean()
        assert top_k_accuracy(probabilities, labels, k) == expected
    assert top_k_accuracy(probabilities, labels, 1) == (probabilities.argmax(1) == labels).mean()


def test_chunks_change_nothing(case, monkeypatch):
    whole = top_k_accuracy(*case, 2)
    monkeypatch.setattr(module, "_CHUNK_ELEMENTS", 33)
    assert top_k_accuracy(*case, 2) == whole
