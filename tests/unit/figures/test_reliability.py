import numpy as np

from mmdl.figures.reliability import draw_reliability
from mmdl.metrics.calibration_error import calibration_error, reliability_bins


def test_bars_are_the_accuracy_of_each_bin_and_counts_are_written(pixels):
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.3, 1, 400)
    correct = rng.random(400) < confidence**2
    bins = reliability_bins(confidence, correct, bins=10)
    figure = draw_reliability(bins, calibration_error(confidence, correct, 10), "a title")
    upper, lower = figure.axes
    heights = [bar.get_height() for bar in upper.containers[0]]
    np.testing.assert_allclose(heights, bins.accuracy[bins.samples > 0])
    tops = [bar.get_y() + bar.get_height() for bar in upper.containers[1]]
    np.testing.assert_allclose(tops, bins.confidence[bins.samples > 0])
    assert sum(int(text.get_text()) for text in lower.texts) == 400
    assert f"ECE {100 * calibration_error(confidence, correct, 10):.2f}%" in upper.texts[0].get_text()
    assert pixels(figure).shape[0] > 500


def test_one_prediction_is_enough(pixels):
    bins = reliability_bins(np.array([1.0]), np.array([True]))
    assert pixels(draw_reliability(bins, 0.0)).min() < 100
