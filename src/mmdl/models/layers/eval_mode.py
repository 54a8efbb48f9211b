"""Eval mode for a while, whatever modes the parts of a model are in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """Put a module into eval mode, and each of its parts back into its own mode afterwards.

    `module.train()` would not do for the second: a frozen part stays in eval mode while the rest trains.

    >>> layers = nn.Sequential(nn.Dropout(), nn.Dropout().eval())
    >>> with eval_mode(layers):
    ...     layers[0].training
    False
    >>> [layer.training for layer in layers]
    [True, False]
    """
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
