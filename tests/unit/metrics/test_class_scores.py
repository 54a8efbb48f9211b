import numpy as np
import pytest
import torch
from sklearn import metrics
from torchmetrics.functional.classification import (
    multiclass_f1_score,
    multiclass_precision,
    multiclass_recall,
    multiclass_stat_scores,
)

from mmdl.metrics.class_scores import class_scores
from mmdl.metrics.confusion_matrix import confusion_matrix


@pytest.fixture
def scored(case):
    probabilities, labels = case
    predictions, classes = probabilities.argmax(1), probabilities.shape[1]
    return class_scores(confusion_matrix(predictions, labels, classes)), predictions, labels, classes


def test_counts_equal_scikit_learn_and_torchmetrics(scored):
    scores, predictions, labels, classes = scored
    matrices = metrics.multilabel_confusion_matrix(labels, predictions, labels=np.arange(classes))
    assert scores.tn.tolist() == matrices[:, 0, 0].tolist()
    assert scores.fp.tolist() == matrices[:, 0, 1].tolist()
    assert scores.fn.tolist() == matrices[:, 1, 0].tolist()
    assert scores.tp.tolist() == matrices[:, 1, 1].tolist()
    theirs = multiclass_stat_scores(
        torch.from_numpy(predictions), torch.from_numpy(labels), classes, average=None
    ).numpy()
    ours = np.stack([scores.tp, scores.fp, scores.tn, scores.fn, scores.support], axis=1)
    assert ours.tolist() == theirs.tolist()


def test_scores_equal_scikit_learn(scored):
    scores, predictions, labels, classes = scored
    expected = metrics.precision_recall_fscore_support(
        labels, predictions, labels=np.arange(classes), zero_division=0
    )
    for ours, theirs in zip(
        (scores.precision, scores.recall, scores.f1, scores.support), expected, strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-15)


def test_macro_averages_equal_scikit_learn_and_torchmetrics(scored):
    scores, predictions, labels, classes = scored
    expected = metrics.precision_recall_fscore_support(labels, predictions, average="macro", zero_division=0)
    ours = [scores.macro(values) for values in (scores.precision, scores.recall, scores.f1)]
    np.testing.assert_allclose(ours, expected[:3], rtol=0, atol=1e-14)
    given = (torch.from_numpy(predictions), torch.from_numpy(labels), classes)
    theirs = [
        float(function(*given, average="macro"))
        for function in (multiclass_precision, multiclass_recall, multiclass_f1_score)
    ]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_a_class_that_never_occurs_is_left_out_of_the_mean_and_one_that_was_predicted_is_not():
    scores = class_scores(confusion_matrix(np.array([0, 1, 2]), np.array([0, 1, 1]), 4))
    assert scores.occurs.tolist() == [True, True, True, False]
    assert scores.recall.tolist() == [1, 0.5, 0, 0]
    assert scores.macro(scores.recall) == 0.5
