"""All that a forward pass shows of one image."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmdl.inspection.architecture import Stage, architecture
from mmdl.inspection.attribution import GradCAM, grad_cam, saliency
from mmdl.inspection.trace import Trace, trace


class Explained(NamedTuple):
    """What speaks for one class.

    Attributes:
        class_index: The class.
        saliency: `(H, W)`, see `attribution.saliency`.
        grad_cam: See `attribution.grad_cam`; None where it does not apply.
    """

    class_index: int
    saliency: Tensor
    grad_cam: GradCAM | None


class Forward(NamedTuple):
    """A forward pass of one image, with explanations.

    Attributes:
        trace: The outputs of all stages.
        stages: The table of the stages.
        explained: The most probable class first; the true class too, where it is another.
    """

    trace: Trace
    stages: list[Stage]
    explained: list[Explained]

    @property
    def probabilities(self) -> Tensor:
        """`(K,)`."""
        return self.trace.probabilities[0]

    @property
    def top(self) -> int:
        """The most probable class."""
        return self.explained[0].class_index


def forward(model: nn.Module, image: Tensor, label: int | None = None) -> Forward:
    """Send one image through a classifier and explain its answer.

    Args:
        model: Maps `(N, C, H, W)` images to `(N, K)` logits; is as it was afterwards.
        image: `(C, H, W)` uint8.
        label: The true class, where it is known.
    """
    passed = trace(model, image[None])
    top = int(passed.logits[0].argmax())
    wanted = [top] if label is None or label == top else [top, label]
    explained = []
    for index in wanted:
        classes = torch.tensor([index], device=passed.logits.device)
        explained.append(Explained(index, saliency(passed, classes)[0], grad_cam(passed, classes)))
    return Forward(passed, architecture(model, image.shape), explained)
