from itertools import pairwise

import numpy as np
import pytest

from mmdl.figures.confusion_matrix import draw_confusion_matrix


def _texts(figure):
    axes = figure.axes[0]
    return {(round(t.get_position()[1]), round(t.get_position()[0])): t.get_text() for t in axes.texts}


def test_counts_stand_in_their_cells_and_names_beside_them():
    confusion = np.array([[5, 0, 2], [1, 1200, 0], [0, 0, 0]])
    figure = draw_confusion_matrix(confusion, ["cat", "dog", "cow"], "three classes")
    assert _texts(figure) == {(0, 0): "5", (0, 2): "2", (1, 0): "1", (1, 1): "1200"}
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog", "cow"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["cat", "dog", "cow"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    assert axes.get_title() == "three classes"


def test_colours_are_shares_of_the_true_class():
    confusion = np.array([[9, 1], [0, 0]])
    shares = draw_confusion_matrix(confusion, ["a", "b"]).axes[0].images[0].get_array()
    assert shares.tolist() == [[0.9, 0.1], [0, 0]]


@pytest.mark.parametrize(("classes", "named"), [(20, True), (21, False), (300, False)])
def test_many_classes_are_a_map_of_colours(classes, named, pixels):
    confusion = np.diag(np.full(classes, 7))
    figure = draw_confusion_matrix(confusion, [f"class {number}" for number in range(classes)])
    assert bool(_texts(figure)) == named
    image = pixels(figure)
    assert max(image.shape) < 2500
    assert ((image[..., 2] > 90) & (image[..., 0] < 60)).sum() > 500  # the diagonal, in dark blue


def test_long_names_do_not_reach_each_other(pixels):
    figure = draw_confusion_matrix(np.eye(3, dtype=int), ["a name as long as a sentence"] * 3)
    pixels(figure)
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert all(not first.overlaps(second) for first, second in pairwise(boxes))
    assert all(box.x0 > 0 for box in boxes)
