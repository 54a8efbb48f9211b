"""The confusion matrix of each validation as a picture: where the errors go while the model learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from mmdl.evaluators.base import Artifact
from mmdl.figures.confusion_matrix import draw_confusion_matrix
from mmdl.figures.style import save_png
from mmdl.metrics.confusion_matrix import confusion_matrix
from mmdl.runs.tracker_images import log_images


class ConfusionMatrix(Callback):
    """Writes `step=N.png` at each validation, and shows it in W&B and TensorBoard; about 0.3 s a picture.

    Args:
        folder: Where.
        every_n_epochs: At the validation of every n-th epoch.
    """

    def __init__(self, folder: str, every_n_epochs: int = 1) -> None:
        self.folder = Path(folder)
        self.every_n_epochs = max(1, every_n_epochs)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw what the task has just evaluated."""
        task: Any = pl_module
        context = task.context
        if trainer.state.fn != "fit" or not trainer.is_global_zero or context is None:
            return
        if (trainer.current_epoch + 1) % self.every_n_epochs or "labels" not in context.outputs:
            return
        classes, labels = context.data.classes, context.outputs["labels"]
        confusion = confusion_matrix(context.outputs["probabilities"].argmax(1), labels, len(classes))
        step = trainer.global_step
        title = f"confusion matrix (val, step {step:,}, n = {len(labels):,})"
        path = save_png(
            draw_confusion_matrix(confusion, classes, title), self.folder / f"step={step:08d}.png"
        )
        log_images(trainer.loggers, {"val_figures/confusion_matrix": Artifact(path, title)}, step)
