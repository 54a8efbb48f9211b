import pytest
import torch

from mmdl.data.augment.fill import Fill, tell_mean


def test_the_color_has_the_dtype_and_range_of_the_images():
    fill = Fill("mean", ["mean", "zeros"], "x.fill", mean=[0.5, 0.1, 1.0])
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    assert fill.value(images).flatten().tolist() == [128, 26, 255]
    assert fill.value(images).dtype == torch.uint8
    assert fill.value(images.float()).flatten().tolist() == pytest.approx([127.5, 25.5, 255])
    assert Fill("zeros", ["zeros"], "x.fill").value(images).flatten().tolist() == [0, 0, 0]


def test_steps_without_a_fill_are_passed_over():
    class Step:
        fill = Fill("mean", ["mean"], "x.fill")

    tell_mean([object(), Step()], [0.25])
    assert Step.fill.mean == [0.25]
