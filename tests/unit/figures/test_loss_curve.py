import numpy as np
import pytest

from mmdl.figures.loss_curve import NAMES, draw_loss_curve, loss_lines


@pytest.fixture
def rows():
    """As in `metrics.jsonl`."""
    train = [{"step": s, "train/loss": 6.0 / s, "train/samples_per_s": 1.0} for s in range(1, 11)]
    marks = [{"step": s, "train/chance_level": 5.545, "train/loss_floor": 0.3} for s in range(2, 11, 2)]
    return [*train, *marks, {"step": 9, "val/loss": 1.5}, {"step": None, "val/loss": 9.0}]


def test_the_lines_are_those_of_the_metrics(rows):
    found = {line.name: line for line in loss_lines(rows)}
    assert list(found) == list(NAMES.values())
    assert found["train"].values == [6.0 / s for s in range(1, 11)]
    assert found["validation"].steps == [9]
    assert found[NAMES["train/chance_level"]].steps == [2, 4, 6, 8, 10]


def test_what_is_not_finite_is_left_out_and_a_step_counts_once(rows):
    rows += [{"step": 11, "train/loss": "nan"}, {"step": 10, "train/loss": 0.5}]
    train = loss_lines(rows)[0]
    assert train.steps == list(range(1, 11))
    assert train.values[-1] == 0.5


def test_there_is_no_figure_without_a_training_loss():
    assert loss_lines([]) == []
    assert loss_lines([{"step": 1, "val/loss": 1.0}]) == []


def test_the_chance_level_is_a_labelled_line(rows, pixels):
    figure = draw_loss_curve(loss_lines(rows))
    [axes] = figure.axes
    drawn = {line.get_label(): line for line in axes.lines}
    assert set(drawn[NAMES["train/chance_level"]].get_ydata()) == {5.545}
    assert "chance level 5.545" in [text.get_text() for text in axes.texts]
    np.testing.assert_allclose(drawn["train"].get_ydata(), [6.0 / s for s in range(1, 11)])
    assert drawn["validation"].get_xdata().tolist() == [9]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(NAMES.values())
    assert pixels(figure).std() > 10


def test_a_loss_that_exploded_leaves_the_rest_readable(rows):
    [axes] = draw_loss_curve(loss_lines([*rows, {"step": 12, "train/loss": 1e9}])).axes
    assert axes.get_ylim()[1] < 15


def test_one_point_without_a_chance_level_is_enough(pixels):
    assert pixels(draw_loss_curve(loss_lines([{"step": 1, "train/loss": 0.0}]))).min() < 100
