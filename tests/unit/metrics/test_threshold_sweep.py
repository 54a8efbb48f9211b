import numpy as np
import pytest
from sklearn import metrics

from mmdl.metrics.threshold_sweep import best_f1_threshold, threshold_sweep


def _scores(seed, count=300, rounded=None):
    rng = np.random.default_rng(seed)
    positive = rng.random(count) < 0.3
    scores = 1 / (1 + np.exp(-rng.normal(size=count) * 2 - 2 * positive + 1))
    return (scores if rounded is None else scores.round(rounded)).astype(np.float32), positive


@pytest.mark.parametrize("rounded", [None, 1])
def test_equals_scikit_learn_at_every_threshold(rounded):
    scores, positive = _scores(0, rounded=rounded)
    sweep = threshold_sweep(scores, positive, np.linspace(0, 1, 21))
    for at, threshold in enumerate(sweep.threshold):
        predicted = scores.astype(np.float64) >= threshold
        [[tn, fp], [fn, tp]] = metrics.confusion_matrix(positive, predicted, labels=[False, True])
        assert (sweep.tn[at], sweep.fp[at], sweep.fn[at], sweep.tp[at]) == (tn, fp, fn, tp)
        precision, recall, f1, _ = metrics.precision_recall_fscore_support(
            positive, predicted, average="binary", zero_division=0
        )
        found = (sweep.precision[at], sweep.recall[at], sweep.f1[at])
        assert found == pytest.approx((precision, recall, f1), abs=1e-15)
        assert sweep.accuracy[at] == metrics.accuracy_score(positive, predicted)
        assert sweep.balanced_accuracy[at] == pytest.approx(
            metrics.balanced_accuracy_score(positive, predicted), abs=1e-15
        )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("rounded", [None, 2, 1])
def test_no_threshold_gives_a_better_f1(seed, rounded):
    scores, positive = _scores(seed, rounded=rounded)
    precision, recall, _ = metrics.precision_recall_curve(positive, scores)
    with np.errstate(invalid="ignore"):
        best = np.nanmax(2 * precision * recall / (precision + recall))
    threshold = best_f1_threshold(scores, positive)
    assert threshold_sweep(scores, positive, np.array([threshold])).f1[0] == pytest.approx(best, abs=1e-12)
    assert 0 <= threshold <= 1


@pytest.mark.parametrize(
    ("scores", "positive", "expected"),
    [
        ([0.2, 0.9], [False, True], 0.55),  # the middle of a gap, not its upper end
        ([0.7, 0.7], [True, False], 0.35),
        ([1.0, 1.0, 0.0], [True, True, False], 0.5),
        ([0.9, 0.1, 0.9, 0.1], [True, True, False, False], 0.05),  # all positive: F1 of 2/3 against 1/2
    ],
)
def test_degenerate_scores(scores, positive, expected):
    assert best_f1_threshold(np.array(scores), np.array(positive)) == pytest.approx(expected)


def test_neighbouring_floats_are_told_apart():
    low = np.float32(0.5)
    high = np.nextafter(low, np.float32(1))
    scores, positive = np.array([low, high]), np.array([False, True])
    threshold = best_f1_threshold(scores, positive)
    assert threshold_sweep(scores, positive, np.array([threshold])).f1.tolist() == [1.0]
