"""Any image tower and any text tower as a contrastive model: small ones train from scratch on a CPU."""

from __future__ import annotations

from typing import Any, Self

from torch import Tensor, nn

from mmdl.batch import ImageTextBatch
from mmdl.models.contrastive import Embeddings, normalized, scalar_group, scale_and_bias
from mmdl.models.features import ImageTower, LayerGroup, QuestionTower, as_module, prefixed
from mmdl.models.layers.frozen import eval_where_frozen


class CLIPTowers(nn.Module):
    """Two towers, each with a projection into the common space.

    Source: Radford et al. 2021, arXiv:2103.00020; the sigmoid form with a bias, Zhai et al. 2023, arXiv:2303.15343.

    Args:
        image_tower: `(I, 3, H, W)` uint8 -> `ImageFeatures`; its pooled feature is projected.
        text_tower: Token ids and mask -> `QuestionFeatures`; likewise.
        embed_dim: Size `D` of the common space.
        image_hidden_dim: Width of a hidden layer in the image projection; None for a linear one.
        text_hidden_dim: The same for the text projection.
        init_scale: Factor on the cosine similarities at the start (the inverse temperature).
        init_bias: Bias on the logits at the start, for the sigmoid loss; None for none.
    """

    consumes = ImageTextBatch

    def __init__(
        self,
        image_tower: ImageTower,
        text_tower: QuestionTower,
        embed_dim: int = 128,
        image_hidden_dim: int | None = 256,
        text_hidden_dim: int | None = None,
        init_scale: float = 1 / 0.07,
        init_bias: float | None = None,
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.image_size = image_tower.image_size
        self.image_tower = image_tower
        self.text_tower = text_tower
        self.image_projection = _projection(image_tower.pooled_dim, image_hidden_dim, embed_dim)
        self.text_projection = _projection(text_tower.pooled_dim, text_hidden_dim, embed_dim)
        self.logit_scale, self.logit_bias = scale_and_bias(init_scale, init_bias)

    def forward(self, batch: ImageTextBatch) -> Embeddings:
        """Encode a batch.

        Args:
            batch: `I` images with `T` captions; `image_features` and `text_features` replace a tower.

        Returns:
            `(I, D)` and `(T, D)` float32, each row of length 1.
        """
        image = (
            normalized(self.image_projection(batch["image_features"]))
            if "image_features" in batch
            else self.encode_images(batch["images"])
        )
        text = (
            normalized(self.text_projection(batch["text_features"]))
            if "text_features" in batch
            else self.encode_texts(batch["tokens"], batch["token_mask"])
        )
        return Embeddings(image, text)

    def encode_images(self, images: Tensor) -> Tensor:
        """`(I, 3, H, W)` uint8 -> `(I, D)` float32, each row of length 1."""
        return normalized(self.image_projection(self.image_features(images)))

    def encode_texts(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """`(T, L)` int64 ids and their bool mask -> `(T, D)` float32, each row of length 1."""
        return normalized(self.text_projection(self.text_features(tokens, mask)))

    def image_features(self, images: Tensor) -> Tensor:
        """`(I, 3, H, W)` uint8 -> `(I, P)` float: pooled, before the projection."""
        return self.image_tower(images).pooled

    def text_features(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """`(T, L)` int64 ids and their bool mask -> `(T, E)` float: pooled, before the projection."""
        return self.text_tower(tokens, mask).pooled

    def layer_groups(self) -> list[LayerGroup]:
        """`image_tower.*`, `image_tower.projection`, `text_tower.*`, `text_tower.projection`, `logit_scale`."""
        return [
            *prefixed("image_tower", self.image_tower.layer_groups()),
            LayerGroup("image_tower.projection", [self.image_projection]),
            *prefixed("text_tower", self.text_tower.layer_groups()),
            LayerGroup("text_tower.projection", [self.text_projection]),
            scalar_group(self.logit_scale, self.logit_bias),
        ]

    def train(self, mode: bool = True) -> Self:
        """Set training mode; frozen towers, and frozen layers of a tower, stay in eval mode."""
        super().train(mode)
        if mode:
            towers: list[Any] = [self.image_tower, self.text_tower]
            for tower in towers:
                eval_where_frozen(as_module(tower), tower.layer_groups())
        return self


def _projection(before: int, hidden: int | None, after: int) -> nn.Module:
    if hidden is None:
        return nn.Linear(before, after, bias=False)
    return nn.Sequential(nn.Linear(before, hidden), nn.ReLU(), nn.Linear(hidden, after))
