"""Any timm backbone as an image tower."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from mmdl.models.features import ImageFeatures, LayerGroup
from mmdl.models.layers.layer_split import split_layers
from mmdl.models.layers.normalize import Normalize
from mmdl.models.layers.timm_model import create_timm_model, load_timm_file


class TimmImageTower(nn.Module):
    """A timm backbone without its classifier.

    Source: timm (github.com/huggingface/pytorch-image-models).

    Args:
        name: Model name, as in `timm.list_models()`, with or without a pretrained tag (`resnet50.a1_in1k`).
        pretrained: Load timm's weights from the Hugging Face hub.
        checkpoint_path: Local file of weights of this architecture instead (`*.safetensors`, or tensors
            only); a classifier in it is left out, anything else must fit exactly.
        image_size: Side in pixels; None for the backbone's own. Transformers get resized position embeddings.

    Attributes:
        grid_channels: Channels of the last feature map or patch tokens.
        pooled_dim: Size of the pooled feature before the classifier.
        image_size: Side in pixels that images must have.

    Raises:
        UserError: Unknown name, unreachable hub, missing, unreadable or unfitting file.
    """

    def __init__(
        self,
        name: str,
        pretrained: bool = False,
        checkpoint_path: str | None = None,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        backbone: Any = create_timm_model(name, pretrained and checkpoint_path is None, num_classes=0)
        if checkpoint_path is not None:
            load_timm_file(backbone, name, Path(checkpoint_path).expanduser())
        config = timm.data.resolve_model_data_config(backbone)
        self.image_size: int = image_size or int(config["input_size"][-1])
        if self.image_size != config["input_size"][-1] and hasattr(backbone, "set_input_size"):
            backbone.set_input_size(img_size=self.image_size)
        self.backbone: nn.Module = backbone
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
            Grid `(I, grid_channels, h, w)` of `forward_features`, without class or register tokens; pooled
            `(I, pooled_dim)` of `forward_head`.
        """
        backbone: Any = self.backbone
        features = backbone.forward_features(self.normalize(images))
        pooled = backbone.forward_head(features, pre_logits=True)
        return ImageFeatures(grid=self._as_grid(features, images.shape[-2:]), pooled=pooled)

    def layer_groups(self) -> list[LayerGroup]:
        """`stem`, the blocks, and `neck` (final norm)."""
        return split_layers(self.backbone)

    def _as_grid(self, features: Tensor, image_shape: torch.Size) -> Tensor:
        backbone: Any = self.backbone
        if features.ndim == 4:
            channels_last = getattr(backbone, "output_fmt", "NCHW") == "NHWC"
            return features.permute(0, 3, 1, 2) if channels_last else features
        tokens = features[:, getattr(backbone, "num_prefix_tokens", 0) :]  # (I, h*w, C)
        height, width = backbone.patch_embed.dynamic_feat_size(tuple(image_shape))
        return tokens.transpose(1, 2).unflatten(2, (height, width))  # (I, C, h, w)
