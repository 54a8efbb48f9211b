"""Pixels as features."""

import numpy as np
import pytest
import torch

from mmdl.evaluators.raw_pixels import raw_pixels


def test_pixels_are_averaged_and_flat(colours):
    data = colours(size=8)
    data.setup(splits=["test"])
    dataset = data.dataset("test")
    rows = np.array([3, 0, 59])
    small = raw_pixels(dataset, rows, 4)
    assert small.shape == (3, 3 * 4 * 4)
    images = dataset.pixels.tensor[rows].float() / 255
    assert small.view(3, 3, 4, 4)[0, 1, 0, 0] == pytest.approx(float(images[0, 1, :2, :2].mean()), abs=1e-6)
    assert torch.equal(raw_pixels(dataset, rows, 8), images.flatten(1))
    assert raw_pixels(dataset, rows, 100).shape == (3, 192)
