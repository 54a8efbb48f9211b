"""What the contrastive task asks of a model, and the parts that such models share."""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from mmdl.batch import ImageTextBatch
from mmdl.models.features import LayerGroup


class Embeddings(NamedTuple):
    """Embeddings of a batch in the space that images and texts share.

    Attributes:
        image: `(I, D)` float32, each row of length 1.
        text: `(T, D)` float32, each row of length 1.
    """

    image: Tensor
    text: Tensor


class ContrastiveModel(Protocol):
    """An image encoder and a text encoder into one space.

    Attributes:
        embed_dim: Size `D` of the space.
        image_size: Side in pixels that images must have; None for any.
        logit_scale: Scalar parameter: the logarithm of the factor on the cosine similarities.
        logit_bias: Scalar parameter that is added to the logits, for the sigmoid loss; None without one.
    """

    embed_dim: int
    image_size: int | None
    logit_scale: nn.Parameter
    logit_bias: nn.Parameter | None

    def __call__(self, batch: ImageTextBatch) -> Embeddings:
        """Encode a batch; cached features replace a tower."""

    def encode_images(self, images: Tensor) -> Tensor:
        """`(I, 3, H, W)` uint8 -> `(I, D)` float32, each row of length 1."""

    def encode_texts(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """`(T, L)` int64 ids and their bool mask -> `(T, D)` float32, each row of length 1."""

    def image_features(self, images: Tensor) -> Tensor:
        """`(I, 3, H, W)` uint8 -> `(I, P)` float: what `ImageTextBatch.image_features` holds."""

    def text_features(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """`(T, L)` int64 ids and their bool mask -> `(T, E)` float: what `ImageTextBatch.text_features` holds."""

    def layer_groups(self) -> list[LayerGroup]:
        """Groups of parameters: `image_tower.*`, `text_tower.*`, `logit_scale`."""


def normalized(embeddings: Tensor) -> Tensor:
    """`(N, D)` of any floating dtype to float32 rows of length 1 (float64 stays float64)."""
    if embeddings.dtype != torch.float64:
        embeddings = embeddings.float()
    return nn.functional.normalize(embeddings, dim=-1)


def scale_and_bias(init_scale: float, init_bias: float | None) -> tuple[nn.Parameter, nn.Parameter | None]:
    """The two scalar parameters of a contrastive model.

    Args:
        init_scale: Factor on the similarities at the start: 1 / 0.07 for CLIP, 10 for SigLIP.
        init_bias: Bias at the start: -10 for SigLIP; None for none.
    """
    scale = nn.Parameter(torch.tensor(math.log(init_scale)))
    return scale, None if init_bias is None else nn.Parameter(torch.tensor(float(init_bias)))


def scalar_group(scale: nn.Parameter, bias: nn.Parameter | None) -> LayerGroup:
    """The layer group of the scalars."""
    return LayerGroup("logit_scale", [nn.ParameterList([p for p in (scale, bias) if p is not None])])
