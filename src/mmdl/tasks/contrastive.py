"""Contrastive learning of images and their captions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, Unpack

import torch
from torch import Tensor, nn

from mmdl.batch import ImageTextBatch
from mmdl.errors import UserError, nearest
from mmdl.evaluators.base import EvaluationContext, Result
from mmdl.losses.gathering import gathered
from mmdl.losses.infonce import infonce
from mmdl.losses.pairs import Pairs
from mmdl.losses.siglip import siglip
from mmdl.losses.tiled_infonce import tiled_infonce
from mmdl.losses.tiled_siglip import tiled_siglip
from mmdl.models.layers.batch_statistics import batch_statistics
from mmdl.models.layers.micro_batches import encoded_in_parts
from mmdl.tasks.base import Task, TaskOptions

LOSSES = {"infonce": infonce, "siglip": siglip}
LOSS_BATCH = "loss_batch"
"""Name of the figure that says over batches of how many images the loss of a split was taken."""
TILED = {"infonce": tiled_infonce, "siglip": tiled_siglip}


class ContrastiveTask(Task):
    """Trains a `ContrastiveModel`; every caption of an image is a positive of it.

    On several ranks the loss is that of the joined batch: each rank takes its own rows of the similarity matrix, and
    the mean over the ranks of `loss` and of its gradient is what one process has on all pairs, temperature included.

    Args:
        model: Has `encode_images` and `encode_texts`.
        optimizer: As for `Task`.
        schedule: As for `Task`.
        loss: `infonce` (Radford et al. 2021) or `siglip` (Zhai et al. 2023).
        max_scale: The factor on the similarities is kept at or below this; None lets it grow.
        tile: Take the similarity matrix in tiles of so many rows and columns: memory grows with the tile, not with
            the square of the batch; None holds the whole matrix.
        micro_batch: Encode so many images at a time, with their share of the captions, and encode them again in the
            backward pass: memory grows with it, the loss is that of the whole batch; None encodes all at once.
        **options: As for `Task`.

    Attributes:
        joined_size: Images and captions of the last training batch, over all ranks; (0, 0) before the first.

    Raises:
        UserError: if the loss has no such name, a number is not in its range, or `micro_batch` is given and a layer
            depends on the whole batch.
    """

    splits_batches = True
    joins_ranks = True
    predict_example = 'image=FILE texts="a red circle|a blue square"'

    def __init__(
        self,
        model: nn.Module,
        optimizer: Any,
        schedule: Any,
        *,
        loss: Literal["infonce", "siglip"] = "infonce",
        max_scale: float | None = 100.0,
        tile: int | None = None,
        micro_batch: int | None = None,
        **options: Unpack[TaskOptions],
    ) -> None:
        super().__init__(model, optimizer, schedule, **options)
        if loss not in LOSSES:
            raise UserError(
                f"task.loss={loss!r} is not a loss of the contrastive task", valid=nearest(loss, LOSSES)
            )
        if max_scale is not None and not max_scale > 0:
            raise UserError(f"task.max_scale={max_scale}", valid="a positive number, or null")
        for key, value in (("tile", tile), ("micro_batch", micro_batch)):
            if value is not None and value < 1:
                raise UserError(f"task.{key}={value}", valid="1 or more, or null")
        if micro_batch is not None:
            _refuse_batch_statistics(model)
        self.loss: Any = LOSSES[loss] if tile is None else partial(TILED[loss], tile=tile)
        self.loss_name = loss
        self.micro_batch = micro_batch
        self.joined_size = (0, 0)
        self._freeze_idle_bias()
        self.max_log_scale = None if max_scale is None else math.log(max_scale)

    def pairs(self, batch: ImageTextBatch) -> Pairs:
        """The embeddings of a batch with its ids."""
        image, text = (
            self.model(batch)
            if self.micro_batch is None
            else encoded_in_parts(self.model, batch, self.micro_batch)
        )
        ids = batch["image_ids"]
        caption_ids = ids[batch["image_index"]]
        if self.idle:  # it was encoded, so that the gradients of all ranks arrive
            return Pairs(image[:0], text[:0], ids[:0], caption_ids[:0])
        return Pairs(image, text, ids, caption_ids)

    def losses(self, batch: ImageTextBatch) -> dict[str, Tensor]:
        """`loss`: of all pairs of the batch, as a mean over the ranks; all ranks must call this together."""
        model: Any = self.model
        scale, bias = model.logit_scale.exp(), model.logit_bias
        pairs = self.pairs(batch)
        everyone = gathered(pairs)
        if everyone is None:
            self.joined_size = len(pairs.image), len(pairs.text)
            return {"loss": self.loss(pairs, scale, bias)}
        self.joined_size = len(everyone.image), len(everyone.text)
        return {"loss": torch.distributed.get_world_size() * self.loss(pairs, scale, bias, everyone)}

    def trainer_errors(self, trainer: Mapping[str, Any], batch_size: int) -> list[UserError]:
        """Accumulation by the trainer compares within each small batch only."""
        count = trainer.get("accumulate_grad_batches", 1)
        if count == 1:
            return []
        return [
            UserError(
                f"trainer.accumulate_grad_batches={count} with a contrastive loss: captions would be compared within "
                "each small batch, which is another loss than that of the large one",
                valid="a large batch that is encoded in parts, with equal gradients",
                fix=f"trainer.accumulate_grad_batches=1 data.batch_size={count * batch_size} "
                f"task.micro_batch={batch_size}",
            )
        ]

    def _freeze_idle_bias(self) -> None:
        """InfoNCE leaves the bias without a gradient, which strategies of several ranks don't accept."""
        bias = getattr(self.model, "logit_bias", None)
        if self.loss_name == "infonce" and bias is not None:
            bias.requires_grad_(False)

    def on_train_start(self) -> None:
        """Clamp what a checkpoint or the model's settings brought."""
        self._clamp_scale()

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Clamp the scale after the step, as CLIP does; `on_train_batch_end` comes after checkpoints are written."""
        super().optimizer_step(*args, **kwargs)
        self._clamp_scale()

    @torch.no_grad()
    def _clamp_scale(self) -> None:
        if self.max_log_scale is not None:
            model: Any = self.model
            model.logit_scale.clamp_(max=self.max_log_scale)

    def samples_at_once(self, batch_size: int) -> int:
        """Images whose activations exist at a time."""
        return batch_size if self.micro_batch is None else min(batch_size, self.micro_batch)

    def split_batches(self, size: int) -> None:
        """Encode so many images at a time.

        Raises:
            UserError: if a layer depends on the whole batch.
        """
        _refuse_batch_statistics(self.model)
        self.micro_batch = size

    def probe_loss(self, batch: ImageTextBatch) -> Tensor:
        """The loss over this rank's own pairs."""
        model: Any = self.model
        loss: Tensor = self.loss(self.pairs(batch), model.logit_scale.exp(), model.logit_bias)
        return loss

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
        """The loss over neighbouring batches of the joined training batch's size, and that size.

        A contrastive loss grows with the batch, so it is comparable for equal sizes only: the evaluation of a run takes
        the size that its training took, on however many ranks.
        """
        outputs = context.outputs
        if not outputs:
            return []
        recorded = context.recorded.get(f"{context.split}/{LOSS_BATCH}") or context.recorded.get(
            f"test/{LOSS_BATCH}"
        )
        size = int(recorded["value"]) if recorded else context.data.batch_size * self.trainer.world_size
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
        return [Result("loss", total / len(rows), len(rows)), Result(LOSS_BATCH, size, len(rows))]

    def count(self, batch: ImageTextBatch) -> int:
        """Number of images."""
        return len(batch["rows"])


def _refuse_batch_statistics(model: nn.Module) -> None:
    """Raise where a layer's output depends on all samples of a batch.

    Raises:
        UserError: it names the first such layer.
    """
    found = batch_statistics(model)
    if found:
        raise UserError(
            f"task.micro_batch with batch norm ({found[0]}"
            + (f" and {len(found) - 1} more" if len(found) > 1 else "")
            + "): its statistics would be those of a part, and would be updated twice",
            valid="towers whose features of a sample don't depend on the batch, or frozen ones",
            fix="task.micro_batch=null, or other towers (model.image_tower.norm=group of small_cnn)",
        )
