"""Snapshots of several images at once, from one forward pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from mmdl.inspection.architecture import shape_text
from mmdl.inspection.attribution import grad_cam
from mmdl.inspection.drawing.snapshot import Snapshot, StageMaps, snapshot_png
from mmdl.inspection.prediction_line import prediction_line
from mmdl.inspection.trace import Layer, Trace, trace

KINDS = ("Convolution", "ReLU", "Pooling")
"""Of each of these the first stage is drawn."""

MOST_BARS = 5


def snapshots(
    model: nn.Module, images: Tensor, labels: Sequence[int], classes: Sequence[str], when: str
) -> list[bytes]:
    """A PNG file for each image.

    Neither the model nor any random state changes; see `trace`.

    Args:
        model: Maps `(N, C, H, W)` images to `(N, K)` logits.
        images: `(N, C, H, W)` uint8, on the model's device.
        labels: `N` true classes.
        classes: `K` names.
        when: The time of the training, for the title.
    """
    passed = trace(model, images)
    cam = grad_cam(passed, passed.logits.detach().argmax(1))
    probabilities = passed.probabilities.float().cpu()
    shown = first_stages(passed)
    files = []
    for number, label in enumerate(labels):
        values, order = probabilities[number].sort(descending=True, stable=True)
        best = order[:MOST_BARS].tolist()
        right = "right" if best[0] == label else "wrong"
        stages = [
            StageMaps(f"{layer.name}: {shape_text(layer.output.shape[1:])}", _numbers(layer.output[number]))
            for layer in shown
        ]
        snapshot = Snapshot(
            f"{classes[label]}, {right}: {prediction_line(classes, probabilities[number])}   ({when})",
            images[number].cpu().numpy(),
            None if cam is None else _numbers(cam.heat[number]),
            stages,
            [classes[k] for k in best],
            values[:MOST_BARS].tolist(),
            best.index(label) if label in best else None,
        )
        files.append(snapshot_png(snapshot))
    return files


def first_stages(passed: Trace) -> list[Layer]:
    """The first convolution, ReLU and pooling with feature maps; of a network without them its first stages."""
    maps = [layer for layer in passed.map_layers if layer.kind != "Input normalisation"]
    found = [next((layer for layer in maps if layer.kind == kind), None) for kind in KINDS]
    chosen = [layer for layer in found if layer is not None]
    return chosen if len(chosen) == len(KINDS) else maps[: len(KINDS)]


def _numbers(tensor: Tensor) -> npt.NDArray[np.float32]:
    return tensor.detach().float().cpu().numpy()
