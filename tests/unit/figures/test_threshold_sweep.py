import numpy as np

from mmdl.figures.threshold_sweep import draw_threshold_sweep
from mmdl.metrics.threshold_sweep import threshold_sweep


def test_lines_are_the_scores_and_the_chosen_threshold_is_marked(pixels):
    rng = np.random.default_rng(0)
    positive = rng.random(200) < 0.4
    sweep = threshold_sweep((rng.random(200) + positive) / 2, positive, np.linspace(0, 1, 51))
    figure = draw_threshold_sweep(sweep, "dog", 0.42)
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    for name, values in (("precision", sweep.precision), ("recall", sweep.recall), ("F1", sweep.f1)):
        assert (lines[name].get_ydata() == values).all()
    assert lines["best F1 on validation: 0.420"].get_xdata()[0] == 0.42
    assert "dog" in figure.axes[0].get_xlabel()
    assert pixels(figure).shape[1] > 800
    assert len(draw_threshold_sweep(sweep, "dog").axes[0].get_lines()) == 5
