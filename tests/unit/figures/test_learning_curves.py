import numpy as np
import pytest

from mmdl.figures.learning_curves import CurvePoint, draw_learning_curves


@pytest.fixture
def points():
    return [
        CurvePoint(10 * e, float(e), 2.0 / e**2, 0.4 + 0.05 * abs(e - 4), min(1.0, 0.3 * e), 0.8)
        for e in range(1, 13)
    ]


def test_both_losses_both_scores_and_the_marks(points):
    figure = draw_learning_curves(points, "accuracy", points[3], points[-1])
    loss, score = figure.axes
    train, val = loss.lines[:2]
    np.testing.assert_allclose(train.get_ydata(), [p.train_loss for p in points])
    np.testing.assert_allclose(val.get_ydata(), [p.val_loss for p in points])
    np.testing.assert_allclose(score.lines[0].get_ydata(), [p.train_score for p in points])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [
        "train (eval mode)",
        "validation",
        "chosen by validation: epoch 4",
        "early stopping: epoch 12",
    ]
    upright = [line.get_xdata()[0] for line in loss.lines if len(set(line.get_xdata())) == 1]
    assert upright[0] == 4
    assert upright[-1] == 12
    ring = next(line for line in loss.lines if line.get_markersize() == 7)
    assert list(ring.get_ydata()) == [points[3].val_loss]
    assert f"gap\n{points[-1].gap:.3f}" in [text.get_text() for text in loss.texts]


def test_without_score_or_marks(points, pixels):
    bare = [p._replace(train_score=None, val_score=None) for p in points]
    figure = draw_learning_curves(bare, "", None, None)
    assert len(figure.axes) == 1
    assert len(figure.legends[0].get_texts()) == 2
    image = pixels(figure)
    assert image.std() > 10
    assert (image[:3] == 255).all()
    assert (image[:, -3:] == 255).all()


def test_one_point_is_enough(points, pixels):
    assert pixels(draw_learning_curves(points[:1], "accuracy", points[0], None)).min() < 100


def test_a_gap_needs_both_losses(points):
    assert points[0]._replace(val_loss=None).gap is None
    assert points[0].gap == pytest.approx(0.55 - 2.0)
