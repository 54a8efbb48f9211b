"""Fixtures: small classifiers whose batch norms have seen something, and an image."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from mmdl.models.cnn import CNN


def _cnn(**options: object) -> CNN:
    torch.manual_seed(0)
    chosen: dict[str, object] = {
        "in_channels": 3,
        "image_size": 12,
        "num_classes": 4,
        "channels": [5, 6],
        "hidden": [7],
        **options,
    }
    model = CNN(**chosen)  # type: ignore[arg-type]
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_()
    return model


@pytest.fixture
def cnn() -> Callable[..., CNN]:
    """`cnn(**options)` makes a small network."""
    return _cnn


@pytest.fixture
def image() -> torch.Tensor:
    """`(3, 12, 12)` uint8."""
    return torch.randint(0, 256, (3, 12, 12), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
