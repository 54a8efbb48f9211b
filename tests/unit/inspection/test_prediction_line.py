import pytest
import torch

from mmdl.inspection.prediction_line import percent, prediction_line


@pytest.mark.parametrize(
    ("probabilities", "line"),
    [
        ([0.1, 0.9, 0.0], "dog 90%, cat 10%"),
        ([0.0, 1.0, 0.0], "dog 100%"),
        ([0.003, 0.9965, 0.0005], "dog >99%"),
        ([1 / 3, 1 / 3, 1 / 3], "cat 33%, dog 33%, bird 33%"),
    ],
)
def test_the_classes_that_matter(probabilities, line):
    assert prediction_line(["cat", "dog", "bird"], torch.tensor(probabilities)) == line


def test_of_many_classes_a_few():
    line = prediction_line([str(n) for n in range(100)], torch.full((100,), 0.01))
    assert line == "0 1%, 1 1%, 2 1%, 3 1%"


def test_no_probability_is_made_certain_by_rounding():
    assert percent(0.9999999) == ">99%"
    assert percent(1e-12) == "<1%"
    assert percent(0.0) == "0%"
