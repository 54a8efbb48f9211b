"""Which layers make the output of a sample depend on the other samples of its batch."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def batch_statistics(model: nn.Module) -> list[str]:
    """Names of the layers that take statistics from the batch in training; frozen ones use those that they have."""
    training = model.training
    model.train()
    found = [
        name for name, layer in model.named_modules() if isinstance(layer, _BatchNorm) and layer.training
    ]
    model.train(training)
    return found
