"""Any timm model as a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
from torch import Tensor, nn

from mmdl.batch import ImageBatch
from mmdl.models.features import LayerGroup
from mmdl.models.layers.layer_split import split_layers
from mmdl.models.layers.normalize import Normalize
from mmdl.models.layers.timm_model import create_timm_model, load_timm_file


class TimmClassifier(nn.Module):
    """A timm model with a classifier of `K` classes.

    Source: timm (github.com/huggingface/pytorch-image-models).

    Args:
        name: Model name, as in `timm.list_models()`, with or without a pretrained tag (`resnet50.a1_in1k`).
        in_channels: `C` of the images; pretrained weights of the first layer are adapted by timm.
        image_size: Their side in pixels; transformers get position embeddings of that size.
        num_classes: `K`; a classifier of another size in the weights is replaced by a new one.
        pretrained: Load timm's weights from the Hugging Face hub.
        checkpoint_path: Local file of weights of this architecture instead.
        drop_path: Stochastic depth (Huang et al. 2016), in [0, 1); for models that have it.
        mean: Mean of each channel in [0, 1] for weights from scratch; pretrained ones bring their own.
        std: Standard deviation, likewise.

    Attributes:
        image_size: Side in pixels that images must have; None for any (convolutional networks).

    Raises:
        UserError: Unknown name, unreachable hub, missing, unreadable or unfitting file.
    """

    consumes = ImageBatch
    one_tower = True

    def __init__(
        self,
        name: str,
        in_channels: int,
        image_size: int,
        num_classes: int,
        pretrained: bool = False,
        checkpoint_path: str | None = None,
        drop_path: float = 0.0,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        options: dict[str, Any] = {"num_classes": num_classes, "in_chans": in_channels}
        if drop_path:
            options["drop_path_rate"] = drop_path
        model: Any = create_timm_model(name, pretrained and checkpoint_path is None, **options)
        if checkpoint_path is not None:
            load_timm_file(model, name, Path(checkpoint_path).expanduser())
        resizable = hasattr(model, "set_input_size")
        if resizable:
            model.set_input_size(img_size=image_size)
        self.in_channels = in_channels
        self.image_size = image_size if resizable else None
        self.backbone: nn.Module = model
        config = timm.data.resolve_model_data_config(model)
        own = pretrained or checkpoint_path is not None
        self.normalize = Normalize(*(_fitting(config[key], in_channels) for key in ("mean", "std")))
        if not own and mean is not None and std is not None:
            self.normalize = Normalize(mean, std)

    def forward(self, images: Tensor) -> Tensor:
        """`(N, C, H, W)` uint8, or float in [0, 255], to `(N, K)` float logits."""
        logits: Tensor = self.backbone(self.normalize(images))
        return logits

    def layer_groups(self) -> list[LayerGroup]:
        """`stem`, the blocks, and `neck` (final norm and classifier)."""
        return split_layers(self.backbone)


def _fitting(values: Sequence[float], channels: int) -> list[float]:
    """The values for another number of channels: their mean."""
    return list(values) if len(values) == channels else [sum(values) / len(values)] * channels
