"""Image classification: cross-entropy over the classes, with what small-image recipes need."""

from __future__ import annotations

from typing import Any, Literal, Unpack, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from mmdl.batch import ImageBatch
from mmdl.errors import UserError, nearest
from mmdl.tasks.base import Task, TaskOptions

TestTimeAugmentation = Literal["none", "flip", "translate", "flip_translate"]


class ClassificationTask(Task):
    """Trains a classifier by cross-entropy and predicts the probability of each class.

    Args:
        model: Maps `(N, C, H, W)` images to `(N, K)` logits.
        optimizer: As for `Task`.
        schedule: As for `Task`.
        label_smoothing: Share of the probability that is spread over all classes (Szegedy et al. 2016), in [0, 1).
        test_time_augmentation: In evaluation, average the logits over the image (`none`), its mirror image too
            (`flip`), the image moved by a pixel to each of the four sides (`translate`, for what has a left and a
            right, such as digits), or image and mirror image, also moved by a pixel up-left and down-right
            (`flip_translate`; Jordan 2024, arXiv:2404.00498).
        **options: As for `Task`.

    Raises:
        UserError: if a setting is not valid.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Any,
        schedule: Any,
        *,
        label_smoothing: float = 0.0,
        test_time_augmentation: TestTimeAugmentation = "none",
        **options: Unpack[TaskOptions],
    ) -> None:
        super().__init__(model, optimizer, schedule, **options)
        if not 0 <= label_smoothing < 1:
            raise UserError(f"task.label_smoothing={label_smoothing}", valid="a share in [0, 1)")
        if test_time_augmentation not in get_args(TestTimeAugmentation):
            raise UserError(
                f"task.test_time_augmentation={test_time_augmentation!r} is unknown",
                valid=nearest(test_time_augmentation, get_args(TestTimeAugmentation)),
            )
        self.label_smoothing = label_smoothing
        self.test_time_augmentation = test_time_augmentation

    def losses(self, batch: ImageBatch) -> dict[str, Tensor]:
        """`loss`: mean cross-entropy over the images of the batch, in float32 at least."""
        logits = self.model(batch["images"])
        logits = logits if logits.element_size() > 4 else logits.float()
        # Soft targets of mixed images go before the labels.
        wanted = batch["targets"] if "targets" in batch else batch["labels"]
        return {"loss": cross_entropy(logits, wanted, label_smoothing=self.label_smoothing)}

    def logits(self, images: Tensor) -> Tensor:
        """`(N, C, H, W)` images to `(N, K)` float32 logits, averaged over the views of each image."""
        kind = self.test_time_augmentation
        if kind == "none":
            return self.model(images).float()
        if kind == "flip":
            return self._with_mirror(images)
        height, width = images.shape[-2:]
        padded = pad(images.float(), (1, 1, 1, 1), mode="reflect")

        def moved(down: int, right: int) -> Tensor:
            return padded[..., 1 - down : 1 - down + height, 1 - right : 1 - right + width]

        if kind == "translate":
            views = [moved(0, 0), moved(-1, 0), moved(1, 0), moved(0, -1), moved(0, 1)]
            return torch.stack([self.model(view).float() for view in views]).mean(0)
        both = self._with_mirror(images)
        corners = 0.5 * (self._with_mirror(moved(1, 1)) + self._with_mirror(moved(-1, -1)))
        return 0.5 * (both + corners)

    def _with_mirror(self, images: Tensor) -> Tensor:
        return 0.5 * (self.model(images).float() + self.model(images.flip(3)).float())

    def evaluate_batch(self, batch: ImageBatch) -> tuple[dict[str, Tensor], Tensor | None]:
        """`rows` (N,), `probabilities` (N, K) float32, `labels` (N,) where there are some; and the loss."""
        logits = self.logits(batch["images"])
        outputs = {"rows": batch["rows"], "probabilities": logits.softmax(-1)}
        if "labels" not in batch:
            return outputs, None
        outputs["labels"] = batch["labels"]
        return outputs, cross_entropy(logits, batch["labels"])

    def count(self, batch: ImageBatch) -> int:
        """Number of images."""
        return len(batch["rows"])
