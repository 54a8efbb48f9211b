import numpy as np
import pytest
from sklearn import metrics

from mmdl.figures import curves
from mmdl.figures.curves import draw_precision_recall, draw_roc
from mmdl.metrics.one_vs_rest import one_vs_rest


def _random(classes, count=200, strength=1.5):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, count)
    chances = np.exp(rng.normal(size=(count, classes)) + strength * np.eye(classes)[labels])
    return (chances / chances.sum(1, keepdims=True)).astype(np.float32), labels


def _lines(figure):
    return {line.get_label(): line.get_xydata() for line in figure.axes[0].get_lines()}


def test_each_class_has_scikit_learns_curve():
    probabilities, labels = _random(3)
    auroc, precision = one_vs_rest(probabilities, labels)
    names = ["cat", "dog", "cow"]
    roc = _lines(draw_roc(probabilities, labels, names, auroc))
    recall = _lines(draw_precision_recall(probabilities, labels, names, precision))
    for label, name in enumerate(names):
        fpr, tpr, _ = metrics.roc_curve(labels == label, probabilities[:, label], drop_intermediate=False)
        np.testing.assert_allclose(roc[f"{name} ({auroc[label]:.4f})"], np.stack([fpr, tpr], 1), atol=1e-12)
        y, x, _ = metrics.precision_recall_curve(labels == label, probabilities[:, label])
        found = recall[f"{name} ({precision[label]:.4f})"]
        np.testing.assert_allclose(found, np.stack([x, y], 1)[::-1], atol=1e-12)


def test_one_column_of_two_classes():
    probabilities, labels = _random(2)
    auroc, _ = one_vs_rest(probabilities, labels)
    lines = _lines(draw_roc(probabilities, labels, ["cat", "dog"], auroc, columns=[1]))
    assert set(lines) == {"chance", f"dog, AUROC {auroc[1]:.4f}"}


def test_good_curves_have_their_corner_magnified():
    probabilities, labels = _random(3, strength=9.0)
    auroc, _ = one_vs_rest(probabilities, labels)
    assert draw_roc(probabilities, labels, list("abc"), auroc).axes[0].child_axes
    probabilities, labels = _random(3)
    auroc, _ = one_vs_rest(probabilities, labels)
    assert not draw_roc(probabilities, labels, list("abc"), auroc).axes[0].child_axes


@pytest.mark.parametrize("draw", [draw_roc, draw_precision_recall])
def test_many_classes_are_drawn_as_their_mean(draw, monkeypatch, pixels):
    probabilities, labels = _random(30)
    scores = one_vs_rest(probabilities, labels)[draw is draw_precision_recall]
    figure = draw(probabilities, labels, [f"c{n}" for n in range(30)], scores)
    [name] = [label for label in _lines(figure) if label.startswith("mean of 30 classes")]
    assert f"{scores.mean():.4f}" in name
    x, y = _lines(figure)[name].T
    assert x[0] == 0
    assert x[-1] == 1
    assert ((y >= 0) & (y <= 1)).all()
    steps = np.diff(y) if draw is draw_roc else -np.diff(y)
    assert (steps >= 0).all()
    assert "all decisions together (micro)" in _lines(figure)
    assert pixels(figure).shape[0] > 500
    monkeypatch.setattr(curves, "MEAN_OF", 10)
    monkeypatch.setattr(curves, "MICRO_ELEMENTS", 10)
    lines = _lines(draw(probabilities, labels, [f"c{n}" for n in range(30)], scores))
    assert any(label.startswith("mean of 10 of 30 classes") for label in lines)
    assert not any("micro" in label for label in lines)


def test_the_area_under_the_mean_curve_is_the_mean_area():
    probabilities, labels = _random(25, count=2000)
    auroc, _ = one_vs_rest(probabilities, labels)
    lines = _lines(draw_roc(probabilities, labels, [f"c{n}" for n in range(25)], auroc))
    [mean] = [points for label, points in lines.items() if label.startswith("mean")]
    assert np.trapezoid(mean[:, 1], mean[:, 0]) == pytest.approx(auroc.mean(), abs=0.01)


def test_a_class_without_samples_is_not_drawn():
    probabilities, labels = _random(3)
    labels[labels == 2] = 0
    auroc, _ = one_vs_rest(probabilities, labels)
    assert len(_lines(draw_roc(probabilities, labels, list("abc"), auroc))) == 3  # chance, a, b
