"""Contrastive learning of images and their captions."""

from __future__ import annotations

import math
from typing import Any, Literal, Unpack

import torch
from torch import Tensor, nn

from mmdl.batch import ImageTextBatch
from mmdl.errors import UserError, nearest
from mmdl.evaluators.base import EvaluationContext, Result
from mmdl.losses.infonce import infonce
from mmdl.losses.pairs import Pairs
from mmdl.losses.siglip import siglip
from mmdl.tasks.base import Task, TaskOptions

LOSSES = {"infonce": infonce, "siglip": siglip}


class ContrastiveTask(Task):
    """Trains a `ContrastiveModel`; every caption of an image is a positive of it.

    Args:
        model: Has `encode_images` and `encode_texts`.
        optimizer: As for `Task`.
        schedule: As for `Task`.
        loss: `infonce` (Radford et al. 2021) or `siglip` (Zhai et al. 2023).
        max_scale: The factor on the similarities is kept at or below this; None lets it grow.
        **options: As for `Task`.

    Raises:
        UserError: if the loss has no such name, or the clamp is no positive number.
    """

    predict_example = 'image=FILE texts="a red circle|a blue square"'

    def __init__(
        self,
        model: nn.Module,
        optimizer: Any,
        schedule: Any,
        *,
        loss: Literal["infonce", "siglip"] = "infonce",
        max_scale: float | None = 100.0,
        **options: Unpack[TaskOptions],
    ) -> None:
        super().__init__(model, optimizer, schedule, **options)
        if loss not in LOSSES:
            raise UserError(
                f"task.loss={loss!r} is not a loss of the contrastive task", valid=nearest(loss, LOSSES)
            )
        if max_scale is not None and not max_scale > 0:
            raise UserError(f"task.max_scale={max_scale}", valid="a positive number, or null")
        self.loss = LOSSES[loss]
        self.loss_name = loss
        self.max_log_scale = None if max_scale is None else math.log(max_scale)

    def pairs(self, batch: ImageTextBatch) -> Pairs:
        """The embeddings of a batch with its ids."""
        image, text = self.model(batch)
        ids = batch["image_ids"]
        return Pairs(image, text, ids, ids[batch["image_index"]])

    def losses(self, batch: ImageTextBatch) -> dict[str, Tensor]:
        """`loss`: of all pairs of the batch."""
        model: Any = self.model
        return {"loss": self.loss(self.pairs(batch), model.logit_scale.exp(), model.logit_bias)}

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Clamp the scale after the step, as CLIP does."""
        if self.max_log_scale is not None:
            model: Any = self.model
            with torch.no_grad():
                model.logit_scale.clamp_(max=self.max_log_scale)

    def evaluate_batch(self, batch: ImageTextBatch) -> tuple[dict[str, Tensor], Tensor | None]:
        """`rows` (I,) with `embeddings` (I, D); `captions/rows` (T,) with `captions/embeddings` (T, D) float32."""
        image, text = self.model(batch)
        return {
            "rows": batch["rows"],
            "image_ids": batch["image_ids"],
            "embeddings": image.float(),
            "captions/rows": batch["caption_rows"],
            "captions/image_rows": batch["rows"][batch["image_index"]],
            "captions/image_ids": batch["image_ids"][batch["image_index"]],
            "captions/embeddings": text.float(),
        }, None

    def loss_of_split(self, context: EvaluationContext) -> list[Result]:
        """The loss over neighbouring batches of the training batch's size: equal on any number of ranks."""
        outputs, size = context.outputs, context.data.batch_size
        if not outputs:
            return []
        model: Any = self.model
        image, text = (
            torch.from_numpy(outputs["embeddings"]),
            torch.from_numpy(outputs["captions/embeddings"]),
        )
        ids, caption_ids = (
            torch.from_numpy(outputs["image_ids"]),
            torch.from_numpy(outputs["captions/image_ids"]),
        )
        caption_of = torch.from_numpy(outputs["captions/image_rows"])
        scale = model.logit_scale.detach().exp().float().cpu()
        bias = None if model.logit_bias is None else model.logit_bias.detach().float().cpu()
        rows = torch.from_numpy(outputs["rows"])
        total = 0.0
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            own = (caption_of >= rows[part][0]) & (caption_of <= rows[part][-1])
            pairs = Pairs(image[part], text[own], ids[part], caption_ids[own])
            total += float(self.loss(pairs, scale, bias)) * len(rows[part])
        return [Result("loss", total / len(rows), len(rows))]

    def count(self, batch: ImageTextBatch) -> int:
        """Number of images."""
        return len(batch["rows"])
