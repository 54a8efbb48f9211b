"""The image tower of any open_clip model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mmdl.models.features import ImageFeatures, LayerGroup
from mmdl.models.layers.normalize import Normalize
from mmdl.models.layers.open_clip_groups import visual_groups
from mmdl.models.layers.open_clip_model import load_open_clip


class OpenCLIPImageTower(nn.Module):
    """`model.visual` of an open_clip model: vision transformer, ResNet, or a timm backbone.

    Source: open_clip (github.com/mlfoundations/open_clip); Radford et al. 2021, arXiv:2103.00020.

    Args:
        name: Model name, as in `open_clip.list_models()`; `hf-hub:org/repository` or `local-dir:/folder`.
        pretrained: Pretrained tag, local file of weights, or None for random weights.
        image_size: Side in pixels; None for the model's own (position embeddings are resized otherwise).

    Attributes:
        grid_channels: Channels of the last layer's patch tokens or feature map.
        pooled_dim: Size of the CLIP embedding (not normalised).
        image_size: Side in pixels that images must have.

    Raises:
        UserError: See `load_open_clip`.
    """

    def __init__(self, name: str, pretrained: str | None = None, image_size: int | None = None) -> None:
        super().__init__()
        model: Any = load_open_clip(name, pretrained, image_size)
        self.visual: nn.Module = model.visual
        size = model.visual.image_size
        self.image_size: int = size if isinstance(size, int) else int(size[0])
        config = model.visual.preprocess_cfg
        self.normalize = Normalize(config["mean"], config["std"])
        with torch.no_grad():
            blank = torch.zeros(1, 3, self.image_size, self.image_size, dtype=torch.uint8)
            features = self.eval()(blank)
        self.train()
        self.grid_channels = features.grid.shape[1]
        self.pooled_dim = features.pooled.shape[1]

    def forward(self, images: Tensor) -> ImageFeatures:
        """Encode images.

        Args:
            images: `(I, 3, image_size, image_size)` uint8 RGB.

        Returns:
            Grid `(I, grid_channels, h, w)`: the last layer's patch tokens after the final norm, or the last
            feature map; pooled `(I, pooled_dim)`: what open_clip's `encode_image` gives.
        """
        x = self.normalize(images)
        visual: Any = self.visual
        out = visual.forward_intermediates(x, indices=1, normalize_intermediates=True, output_fmt="NCHW")
        return ImageFeatures(grid=out["image_intermediates"][-1], pooled=out["image_features"])

    def layer_groups(self) -> list[LayerGroup]:
        """`stem`, the blocks, and `neck` (final norm and projection)."""
        return visual_groups(self.visual)
