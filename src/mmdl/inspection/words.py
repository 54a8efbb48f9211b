"""What each kind of stage does, in words that a student understands, with the numbers of the stage at hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mmdl.inspection.architecture import shape_text
from mmdl.inspection.trace import Layer


def explanation(layer: Layer) -> str:
    """What a stage did to its input."""
    module: Any = layer.module
    shape = tuple(layer.output.shape[1:])
    given = tuple(layer.input.shape[1:]) if layer.input is not None else ()
    if layer.kind == "Input normalisation":
        return (
            "Each pixel is divided by 255; the mean of its channel is subtracted, and the rest divided by the "
            "deviation."
        )
    if layer.kind == "Convolution" and isinstance(module, nn.Conv2d):
        height, width = module.kernel_size
        return (
            f"Each of {module.out_channels} filters of {module.in_channels // module.groups} x {height} x {width} "
            "weights slides over its input. The sum is large (red) where the picture below resembles the filter, and "
            "negative (blue) where it resembles its opposite."
        )
    if layer.kind == "ReLU":
        zero = float((layer.output == 0).float().mean())
        return f"max(0, x): what is negative becomes 0. Here {zero:.0%} of the values are 0."
    if layer.kind == "Batch norm":
        return (
            "Each map is shifted and scaled by the mean and the deviation that it had in training: what is usual for "
            "a map becomes about 0."
        )
    if layer.kind == "Pooling" and len(given) == 3:
        before, after = given[1] * given[2], max(1, int(torch.tensor(shape[1:]).prod()))
        what = "the largest value" if "Max" in type(module).__name__ else "the mean"
        whole = after == 1
        where = (
            "of all positions" if whole else f"of each window of {before // after} neighbours, in each map,"
        )
        return f"Only {what} {where} is kept: {shape_text(given)} becomes {shape_text(shape)}."
    if layer.kind == "Flatten":
        return f"The {shape_text(given)} values are written one after the other, as one vector of {shape_text(shape)}."
    if layer.kind == "Fully connected" and isinstance(module, nn.Linear):
        return (
            f"Each of {module.out_features:,} outputs is a weighted sum of all {module.in_features:,} inputs"
            + (", plus a bias." if module.bias is not None else ".")
        )
    if layer.kind.startswith("Stage of"):
        return (
            f"{layer.kind.removeprefix('Stage of ').capitalize()}, with all that belongs to it, as one stage."
        )
    return ""


def values_text(layer: Layer) -> str:
    """Shape and range of a stage's output."""
    output = layer.output.detach()
    return (
        f"{shape_text(output.shape[1:])} numbers from {float(output.min()):.3g} to {float(output.max()):.3g}, "
        f"mean {float(output.mean()):.3g}"
    )
