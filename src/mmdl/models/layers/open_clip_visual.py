"""The image side of a whole open_clip model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from mmdl.models.features import LayerGroup
from mmdl.models.layers.normalize import Normalize
from mmdl.models.layers.open_clip_groups import visual_groups


class OpenCLIPVisual(nn.Module):
    """Pixels to open_clip's `encode_image`, not normalised.

    Args:
        visual: `model.visual` of an open_clip model.
        mean: Mean of each channel in [0, 1]; None for the model's own.
        std: Standard deviation of each channel; None for the model's own.

    Attributes:
        image_size: Side in pixels that images must have.
    """

    def __init__(
        self, visual: nn.Module, mean: Sequence[float] | None = None, std: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        self.visual = visual
        own: Any = visual
        size = own.image_size
        self.image_size: int = size if isinstance(size, int) else int(size[0])
        self.mean = [float(value) for value in (own.preprocess_cfg["mean"] if mean is None else mean)]
        self.std = [float(value) for value in (own.preprocess_cfg["std"] if std is None else std)]
        self.normalize = Normalize(self.mean, self.std)

    def forward(self, images: Tensor) -> Tensor:
        """`(I, 3, image_size, image_size)` uint8, or float, in [0, 255] -> `(I, D)` float."""
        out = self.visual(self.normalize(images))
        features: Tensor = out[0] if isinstance(out, tuple) else out  # CoCa gives its tokens too
        return features

    def layer_groups(self) -> list[LayerGroup]:
        """`stem`, the blocks, and `neck` (final norm and projection)."""
        return visual_groups(self.visual)
