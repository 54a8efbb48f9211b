"""Visual question answering as classification over an answer vocabulary."""

from __future__ import annotations

from typing import Any, Literal, Unpack

from torch import Tensor, nn

from mmdl.batch import VQABatch
from mmdl.errors import UserError
from mmdl.losses.soft_bce import soft_bce
from mmdl.losses.soft_cross_entropy import soft_cross_entropy
from mmdl.tasks.base import Task, TaskOptions

LOSSES = {"bce": soft_bce, "cross_entropy": soft_cross_entropy}


class VQATask(Task):
    """Trains a `VQAModel` on soft scores and predicts the best answers.

    Args:
        model: Maps a `VQABatch` to logits `(Q, A)`.
        optimizer: As for `Task`.
        schedule: As for `Task`.
        loss: `bce` on the soft scores (Teney 2018), or `cross_entropy` against the normalised scores.
        top_k: How many answers a prediction lists.
        **options: As for `Task`.

    Raises:
        UserError: if the loss has no such name.
    """

    predict_example = 'image=FILE question="..."'

    def __init__(
        self,
        model: nn.Module,
        optimizer: Any,
        schedule: Any,
        *,
        loss: Literal["bce", "cross_entropy"] = "bce",
        top_k: int = 5,
        **options: Unpack[TaskOptions],
    ) -> None:
        super().__init__(model, optimizer, schedule, **options)
        if loss not in LOSSES:
            raise UserError(f"task.loss={loss!r} is not a loss of the VQA task", valid=", ".join(LOSSES))
        self.loss = LOSSES[loss]
        self.loss_name = loss
        self.top_k = top_k

    def losses(self, batch: VQABatch) -> dict[str, Tensor]:
        """`loss`: mean over the questions of the batch."""
        return {"loss": self.loss(self.model(batch), batch["targets"])}

    def probabilities(self, logits: Tensor) -> Tensor:
        """`(Q, A)` logits to the probability of each answer, as the loss understands it."""
        return logits.sigmoid() if self.loss_name == "bce" else logits.softmax(-1)

    def evaluate_batch(self, batch: VQABatch) -> tuple[dict[str, Tensor], Tensor | None]:
        """`rows` (Q,), `answers` (Q, k) int64 columns of the vocabulary, best first, `probabilities` (Q, k)."""
        logits = self.model(batch).float()
        probabilities, answers = self.probabilities(logits).topk(min(self.top_k, logits.shape[1]))
        outputs = {"rows": batch["rows"], "answers": answers, "probabilities": probabilities}
        return outputs, self.loss(logits, batch["targets"]) if "targets" in batch else None

    def count(self, batch: VQABatch) -> int:
        """Number of questions."""
        return len(batch["rows"])
