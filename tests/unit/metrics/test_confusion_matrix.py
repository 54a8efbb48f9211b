import numpy as np
import pytest
import torch
from sklearn import metrics

from mmdl.metrics.confusion_matrix import confusion_matrix


def test_equals_scikit_learn(case):
    probabilities, labels = case
    predictions, classes = probabilities.argmax(1), probabilities.shape[1]
    found = confusion_matrix(predictions, labels, classes)
    assert found.dtype == np.int64
    assert found.tolist() == metrics.confusion_matrix(labels, predictions, labels=np.arange(classes)).tolist()


def test_takes_any_integers():
    found = confusion_matrix(np.array([1, 0], dtype=np.uint8), np.array([1, 1], dtype=np.int32), 2)
    assert found.tolist() == [[0, 0], [1, 1]]


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_needs_no_more_memory_in_deterministic_mode_and_keeps_the_mode(mode):
    """torchmetrics would make an array of 50,000 x 10^6 numbers."""
    labels = np.arange(50_000) % 1000
    torch.set_deterministic_debug_mode(mode)
    try:
        found = confusion_matrix(labels, labels, 1000)
        assert torch.get_deterministic_debug_mode() == mode
    finally:
        torch.set_deterministic_debug_mode(0)
    assert (found == 50 * np.eye(1000)).all()
