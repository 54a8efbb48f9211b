import numpy as np
import pytest
import torch
from sklearn import metrics
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

from mmdl.metrics.ranking_counts import ranking_counts


def _binary(seed, count=2000, rounded=None):
    rng = np.random.default_rng(seed)
    positive = rng.random(count) < 0.2
    scores = 1 / (1 + np.exp(-rng.normal(size=count) - 2 * positive))
    return (scores if rounded is None else scores.round(rounded)).astype(np.float32), positive


@pytest.mark.parametrize("rounded", [None, 2, 0])
def test_curves_and_areas_equal_scikit_learn(rounded):
    scores, positive = _binary(0, rounded=rounded)
    counts = ranking_counts(scores, positive)
    fpr, tpr, thresholds = metrics.roc_curve(positive, scores, drop_intermediate=False)
    np.testing.assert_allclose(counts.false_positive_rate, fpr, rtol=0, atol=1e-15)
    np.testing.assert_allclose(counts.recall, tpr, rtol=0, atol=1e-15)
    assert (counts.threshold == thresholds[1:]).all()
    precision, recall, _ = metrics.precision_recall_curve(positive, scores)
    np.testing.assert_allclose(counts.precision, precision[::-1], rtol=0, atol=1e-15)
    np.testing.assert_allclose(counts.recall, recall[::-1], rtol=0, atol=1e-15)
    assert counts.auroc == pytest.approx(metrics.roc_auc_score(positive, scores), abs=1e-13)
    assert counts.average_precision == pytest.approx(
        metrics.average_precision_score(positive, scores), abs=1e-13
    )


@pytest.mark.parametrize("seed", range(3))
def test_areas_equal_torchmetrics(seed):
    scores, positive = _binary(seed)
    given = torch.from_numpy(scores), torch.from_numpy(positive.astype(np.int64))
    counts = ranking_counts(scores, positive)
    assert counts.auroc == pytest.approx(float(binary_auroc(*given)), abs=2e-6)
    assert counts.average_precision == pytest.approx(float(binary_average_precision(*given)), abs=2e-6)


def test_whole_numbers_come_back_where_float32_has_few_digits_left():
    rng = np.random.default_rng(0)
    scores, positive = rng.random(5_000_000, dtype=np.float32), rng.random(5_000_000) < 0.5
    counts = ranking_counts(scores, positive)
    assert (counts.tp.astype(np.int64) == counts.tp).all()
    assert counts.tp[-1] == positive.sum()
    assert counts.fp[-1] == (~positive).sum()
    # each distinct score moves the sum by the number of its samples
    distinct, repeats = np.unique(scores, return_counts=True)
    assert len(counts.threshold) == len(distinct)
    assert (np.diff(counts.tp + counts.fp) == repeats[::-1]).all()


@pytest.mark.filterwarnings("error")
def test_a_class_without_positives_or_negatives_has_no_curve_and_no_warning():
    scores = np.array([0.2, 0.7])
    only = ranking_counts(scores, np.array([True, True]))
    assert only.average_precision == 1
    assert np.isnan(only.auroc)
    none = ranking_counts(scores, np.array([False, False]))
    assert np.isnan(none.average_precision)
    assert np.isnan(none.auroc)
