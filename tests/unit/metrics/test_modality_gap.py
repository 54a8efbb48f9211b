"""The modality gap of known clouds."""

import pytest
import torch

from mmdl.metrics.modality_gap import modality_gap


def test_known_centres():
    image = torch.tensor([[1.0, 0.0], [0.0, 1.0]])  # centre (0.5, 0.5)
    text = torch.tensor([[-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])  # centre (-1/3, 0)
    assert modality_gap(image, text) == pytest.approx(((0.5 + 1 / 3) ** 2 + 0.25) ** 0.5)


def test_no_gap_between_a_cloud_and_itself():
    cloud = torch.nn.functional.normalize(torch.randn(50, 8), dim=1)
    assert modality_gap(cloud, cloud.flip(0)) == pytest.approx(0, abs=1e-7)
