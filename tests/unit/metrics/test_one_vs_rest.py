import numpy as np
import pytest
from sklearn import metrics

from mmdl.metrics.one_vs_rest import one_vs_rest


def test_each_class_equals_scikit_learn(case):
    probabilities, labels = case
    auroc, precision = one_vs_rest(probabilities, labels)
    for label in range(probabilities.shape[1]):
        positive, column = labels == label, probabilities[:, label]
        if positive.any():
            expected = metrics.average_precision_score(positive, column)
            assert precision[label] == pytest.approx(expected, abs=1e-12)
        else:
            assert np.isnan(precision[label])
        if positive.any() and not positive.all():
            assert auroc[label] == pytest.approx(metrics.roc_auc_score(positive, column), abs=1e-12)
        else:
            assert np.isnan(auroc[label])


def test_the_mean_equals_scikit_learns_macro():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 7, 400)
    probabilities = rng.dirichlet(np.ones(7), 400) + 0.2 * np.eye(7)[labels]
    probabilities = (probabilities / probabilities.sum(1, keepdims=True)).astype(np.float32)
    probabilities /= probabilities.sum(1, keepdims=True)
    auroc, precision = one_vs_rest(probabilities, labels)
    expected = metrics.roc_auc_score(
        labels, probabilities.astype(np.float64), multi_class="ovr", average="macro"
    )
    assert auroc.mean() == pytest.approx(expected, abs=1e-12)
    expected = metrics.average_precision_score(np.eye(7)[labels], probabilities, average="macro")
    assert precision.mean() == pytest.approx(expected, abs=1e-12)


def test_a_sum_that_rounds_above_one_is_no_logit():
    """torchmetrics applies a sigmoid to values outside [0, 1], which makes close scores equal."""
    column = np.array([np.nextafter(np.float32(1), np.float32(2)), 1e-9, 2e-9, 3e-9], dtype=np.float32)
    probabilities = np.stack([1 - column, column], axis=1)
    before = probabilities.copy()
    auroc, _ = one_vs_rest(probabilities, np.array([1, 0, 1, 1]))
    assert auroc[1] == 1
    assert (probabilities == before).all()


def test_more_classes_than_are_copied_at_once():
    labels = np.arange(130)
    auroc, precision = one_vs_rest(np.eye(130, dtype=np.float32), labels)
    assert (auroc == 1).all()
    assert (precision == 1).all()
