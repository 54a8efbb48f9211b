"""How far weights have moved, from a few of them: whether the learning rate does anything, or too much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mmdl.optim.norms import whole

PER_PARAMETER = 256
"""Elements that are looked at of each matrix or kernel."""


class WeightProbe:
    """Keeps some elements of each group's matrices and kernels, evenly spread, from when it is made.

    Args:
        groups: Name -> parameters; what does not learn, and vectors, are passed over.
    """

    def __init__(self, groups: Mapping[str, Sequence[nn.Parameter]]) -> None:
        self.groups = {
            name: [p for p in own if p.requires_grad and p.ndim > 1 and p.numel()]
            for name, own in groups.items()
        }
        self.first = self.take()

    def take(self) -> dict[str, Tensor]:
        """The elements as they are now: name -> `(n,)` float32 on the device; only groups that learn."""
        return {
            name: torch.cat([_some(parameter) for parameter in own])
            for name, own in self.groups.items()
            if own
        }

    def change(self) -> dict[str, float]:
        """Length of the change since the start over the length at the start, by group.

        >>> weight = nn.Parameter(torch.ones(2, 2))
        >>> probe = WeightProbe({"layer": [weight]})
        >>> _ = weight.data.mul_(3)
        >>> probe.change()
        {'layer': 2.0}
        """
        now = self.take()
        return {
            name: float((now[name] - old).norm() / old.norm().clamp(min=1e-12))
            for name, old in self.first.items()
            if name in now and now[name].shape == old.shape
        }


def _some(parameter: nn.Parameter) -> Tensor:
    flat = whole(parameter.detach()).reshape(-1)
    count = min(PER_PARAMETER, len(flat))
    places = torch.linspace(0, len(flat) - 1, count, dtype=torch.float64, device=flat.device).long()
    return flat[places].float()
