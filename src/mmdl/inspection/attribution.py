"""Which pixels and which positions a class score depends on: saliency and Grad-CAM."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from mmdl.inspection.trace import Layer, Trace

PASSED_ON = ("Input normalisation", "Pooling", "Batch norm", "Group norm", "Layer norm", "Dropout")
"""Kinds of stages that Grad-CAM does not look at."""


class GradCAM(NamedTuple):
    """Where the evidence for a class lies.

    Attributes:
        layer: Name of the stage whose maps were weighted.
        weights: `(N, C)`: gradient of the class score, averaged over the positions of each map.
        coarse: `(N, h, w)`: the weighted sum of the maps, negative parts set to 0.
        heat: `(N, H, W)`: the same at the size of the image.
    """

    layer: str
    weights: Tensor
    coarse: Tensor
    heat: Tensor


def saliency(trace: Trace, classes: Tensor) -> Tensor:
    """How much each pixel moves the score of a class: the largest absolute input gradient over the channels.

    Source: Simonyan, Vedaldi and Zisserman 2014 (arXiv:1312.6034). The score is the logit, not the probability.

    Args:
        trace: A forward pass.
        classes: `(N,)` int64, the class of each image.

    Returns:
        `(N, H, W)`, in logit units per grey level; at least 0.
    """
    (gradient,) = torch.autograd.grad(_scores(trace, classes), trace.images, retain_graph=True)
    return gradient.abs().amax(1)  # (N, H, W)


def grad_cam_layer(trace: Trace) -> Layer | None:
    """The stage whose maps Grad-CAM weights: the last one with maps that finds something; None without any.

    Pooling, norms and dropout only pass on what a convolution and its activation have found.
    """
    candidates = [layer for layer in trace.map_layers if layer.kind not in PASSED_ON]
    return candidates[-1] if candidates else None


def grad_cam(trace: Trace, classes: Tensor) -> GradCAM | None:
    """Which positions of the last feature maps speak for a class.

    Source: Selvaraju et al. 2017 (arXiv:1610.02391), equations 1 and 2; enlarged to the image bilinearly.

    Args:
        trace: A forward pass.
        classes: `(N,)` int64, the class of each image.

    Returns:
        The maps; None where no stage has feature maps of more than one position.
    """
    layer = grad_cam_layer(trace)
    if layer is None:
        return None
    (gradient,) = torch.autograd.grad(_scores(trace, classes), layer.output, retain_graph=True)
    weights = gradient.mean((2, 3))  # (N, C)
    coarse = (weights[:, :, None, None] * layer.output.detach()).sum(1).relu()  # (N, h, w)
    size = trace.images.shape[-2:]
    heat = interpolate(coarse[:, None], size, mode="bilinear", align_corners=False)[:, 0]  # (N, H, W)
    return GradCAM(layer.name, weights, coarse, heat)


def _scores(trace: Trace, classes: Tensor) -> Tensor:
    """Sum of the chosen logits; the images of a batch don't meet in eval mode, so each keeps its own gradient."""
    with torch.enable_grad():  # a validation runs without
        return trace.logits.gather(1, classes[:, None]).sum()
