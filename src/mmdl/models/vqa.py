"""Visual question answering as classification over an answer vocabulary."""

from __future__ import annotations

import math
from typing import Self

from torch import Tensor, nn

from mmdl.batch import VQABatch
from mmdl.models.features import (
    FusionFactory,
    ImageFeatures,
    ImageTower,
    LayerGroup,
    QuestionFeatures,
    QuestionTower,
    as_module,
    prefixed,
)
from mmdl.models.layers.frozen import eval_where_frozen


class VQAModel(nn.Module):
    """An image tower, a question tower, a fusion, and a classifier over `A` answers.

    Each image is encoded once for all its questions; features that the batch brings from a cache replace a
    tower.

    Args:
        image_tower: `(I, 3, H, W)` uint8 -> `ImageFeatures`.
        question_tower: Token ids and mask -> `QuestionFeatures`.
        fusion: Partial of a fusion; it is called with the sizes of the towers' features.
        num_answers: Size `A` of the answer vocabulary.
        hidden_dim: Width of the classifier's hidden layer.
        dropout: Dropout before the classifier's last layer, in [0, 1).
    """

    consumes = VQABatch

    def __init__(
        self,
        image_tower: ImageTower,
        question_tower: QuestionTower,
        fusion: FusionFactory,
        num_answers: int,
        hidden_dim: int = 256,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.image_tower = image_tower
        self.question_tower = question_tower
        self.fusion = fusion(
            grid_channels=image_tower.grid_channels,
            image_dim=image_tower.pooled_dim,
            token_dim=question_tower.token_dim,
            question_dim=question_tower.pooled_dim,
        )
        answers = nn.Linear(hidden_dim, num_answers)
        # Each answer starts at a probability of 1 / A, not 1/2 (Lin et al. 2017, arXiv:1708.02002, section 3.3):
        # binary cross-entropy would spend its first thousand steps on that. Cross-entropy does not notice.
        nn.init.constant_(answers.bias, -math.log(max(1, num_answers - 1)))
        self.head = nn.Sequential(
            nn.Linear(self.fusion.out_dim, hidden_dim), nn.ReLU(), nn.Dropout(dropout), answers
        )

    def forward(self, batch: VQABatch) -> Tensor:
        """Score every answer for every question.

        Args:
            batch: `Q` questions over `I` images; `image_grid`/`image_pooled` replace the image tower, and
                `question_tokens`/`question_pooled` the question tower, where present.

        Returns:
            Logits `(Q, A)` float32.
        """
        image = self.image_features(batch)
        question = self.question_features(batch)
        fused = self.fusion(image, question, batch["image_index"])  # (Q, F)
        return self.head(fused).float()

    def encode_images(self, images: Tensor) -> ImageFeatures:
        """Run the image tower: `(I, 3, H, W)` uint8 -> `ImageFeatures`."""
        return self.image_tower(images)

    def encode_questions(self, tokens: Tensor, mask: Tensor) -> QuestionFeatures:
        """Run the question tower: `(Q, L)` int64 ids and `(Q, L)` bool mask -> `QuestionFeatures`."""
        return self.question_tower(tokens, mask)

    def image_features(self, batch: VQABatch) -> ImageFeatures:
        """The batch's cached image features, else those of the image tower."""
        if "image_pooled" not in batch:
            return self.encode_images(batch["images"])
        pooled = batch["image_pooled"]
        empty = pooled.new_empty(len(pooled), self.image_tower.grid_channels, 0, 0)
        return ImageFeatures(grid=batch.get("image_grid", empty), pooled=pooled)

    def question_features(self, batch: VQABatch) -> QuestionFeatures:
        """The batch's cached question features, else those of the question tower."""
        if "question_pooled" not in batch:
            return self.encode_questions(batch["tokens"], batch["token_mask"])
        pooled = batch["question_pooled"]
        tokens = batch.get("question_tokens", pooled.new_empty(len(pooled), 0, self.question_tower.token_dim))
        mask = batch.get("token_mask", pooled.new_ones(tokens.shape[:2]).bool())
        return QuestionFeatures(tokens=tokens, mask=mask, pooled=pooled)

    def layer_groups(self) -> list[LayerGroup]:
        """Groups of parameters from input to output: `image_tower.*`, `question_tower.*`, `fusion`, `head`."""
        return [
            *prefixed("image_tower", self.image_tower.layer_groups()),
            *prefixed("question_tower", self.question_tower.layer_groups()),
            LayerGroup("fusion", [as_module(self.fusion)]),
            LayerGroup("head", [self.head]),
        ]

    def train(self, mode: bool = True) -> Self:
        """Set training mode; frozen towers, and frozen layers of a tower, stay in eval mode."""
        super().train(mode)
        if mode:
            for tower in (self.image_tower, self.question_tower):
                eval_where_frozen(as_module(tower), tower.layer_groups())
        return self
