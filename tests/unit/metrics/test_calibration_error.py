import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from mmdl.metrics.calibration_error import calibration_error, reliability_bins


def _by_hand(confidence, correct, bins):
    """Guo et al. 2017, equation 3, in plain NumPy; the last bin holds a confidence of 1."""
    total = 0.0
    for number in range(bins):
        low, high = number / bins, (number + 1) / bins
        inside = (confidence >= low) & ((confidence < high) | (number == bins - 1))
        if inside.any():
            total += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    return total


def _top(case):
    probabilities, labels = case
    return probabilities.max(1), probabilities.argmax(1) == labels


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_equals_the_definition(case, bins):
    confidence, correct = _top(case)
    expected = _by_hand(confidence.astype(np.float64), correct, bins)
    assert calibration_error(confidence, correct, bins) == pytest.approx(expected, abs=1e-12)


def test_equals_torchmetrics_on_the_whole_matrix(case):
    probabilities, labels = case
    if (probabilities == 1).any():
        pytest.skip("torchmetrics gives a confidence of 1 a bin of its own")
    theirs = multiclass_calibration_error(
        torch.from_numpy(probabilities), torch.from_numpy(labels), probabilities.shape[1], n_bins=15
    )
    assert calibration_error(*_top(case)) == pytest.approx(float(theirs), abs=1e-5)


def test_the_diagram_shows_the_same_error(case):
    confidence, correct = _top(case)
    bins = reliability_bins(confidence, correct)
    assert bins.samples.sum() == len(confidence)
    gaps = np.nan_to_num(np.abs(bins.accuracy - bins.confidence))
    assert (gaps * bins.samples).sum() / bins.samples.sum() == pytest.approx(
        calibration_error(confidence, correct), abs=1e-12
    )


def test_a_confidence_of_one_is_in_the_last_bin():
    bins = reliability_bins(np.array([1.0, 0.95], dtype=np.float32), np.array([False, True]), bins=10)
    assert bins.samples.tolist() == [0] * 9 + [2]
    assert bins.accuracy[-1] == 0.5
    assert np.isnan(bins.accuracy[0])


def test_numbers_that_are_not_finite_end_in_no_error():
    correct = np.array([True, False])
    assert reliability_bins(np.array([np.nan, 0.5]), correct).samples.sum() == 1
    calibration_error(np.array([np.nan, 0.5]), correct)
