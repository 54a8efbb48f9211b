"""Looks inside the network while it learns: one fixed validation image of each class, after each validation."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from mmdl.batch import ImageBatch
from mmdl.errors import UserError
from mmdl.evaluators.base import Artifact
from mmdl.runs.files import write_bytes
from mmdl.runs.tracker_images import log_images

SHARDED = ("FSDP", "ModelParallel", "DeepSpeed")
"""Strategies with which rank 0 alone can't run the model."""


class Inside(Callback):
    """Writes `epoch=NNN/<class>.png`: input, first feature maps, softmax and Grad-CAM; and logs it to the loggers.

    Epochs are counted from 1, as on the console; where there are several validations in an epoch the folder names
    the step too. The pictures are on disk before a logger gets them. The weights are those that the validation
    used: with `callbacks=[default,ema,inside]` the averaged ones. The training is not changed by it, to the last
    bit.

    Args:
        folder: Where; the run folder's `media/inside/`.
        every_n_validations: Look after so many validations, beginning with the first.
        max_classes: Look at so many classes at most, the first ones.
    """

    def __init__(self, folder: str, every_n_validations: int = 1, max_classes: int = 10) -> None:
        if every_n_validations < 1 or max_classes < 1:
            raise UserError(
                f"callbacks.inside.every_n_validations={every_n_validations}, max_classes={max_classes}",
                valid="numbers of at least 1",
            )
        self.folder = Path(folder)
        self.every_n_validations = every_n_validations
        self.max_classes = max_classes
        self._validations = 0
        self._images: Tensor | None = None
        self._labels: list[int] = []

    def state_dict(self) -> dict[str, Any]:
        """How many validations there were, so that a resumed run looks after the same ones."""
        return {"validations": self._validations}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        self._validations = state_dict["validations"]

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Choose the images.

        Raises:
            UserError: if the run does not classify images, or the model is sharded.
        """
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if getattr(data, "produces", None) is not ImageBatch:
            raise UserError(
                "callbacks=inside looks into image classifiers, and this run is none",
                valid="a run that classifies images",
                fix="callbacks=[default]",
            )
        strategy = type(trainer.strategy).__name__
        if strategy.startswith(SHARDED):
            raise UserError(
                f"callbacks=inside can't run a model that {strategy} spreads over ranks",
                fix="callbacks=[default]",
            )
        if not trainer.is_global_zero or not data.has_split("val"):
            return
        validation = data.dataset("val")
        labels = validation.split.labels
        present = np.unique(labels[labels >= 0])[: self.max_classes]
        rows = np.array([int(np.flatnonzero(labels == label)[0]) for label in present], dtype=np.int64)
        if len(rows):
            self._images, self._labels = validation[rows]["images"], present.tolist()

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """After the last batch: the averaged weights, which go at the end of the validation, are still there."""
        if trainer.sanity_checking or trainer.state.fn != "fit" or batch_idx + 1 < trainer.num_val_batches[0]:
            return
        self._validations += 1
        if self._images is not None and (self._validations - 1) % self.every_n_validations == 0:
            self._look(trainer, pl_module)

    def _look(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        from mmdl.inspection.snapshots import snapshots
        from mmdl.inspection.subject import file_name

        assert self._images is not None
        classes = trainer.datamodule.classes  # type: ignore[attr-defined]
        step, epoch = trainer.global_step, trainer.current_epoch + 1
        when = f"epoch {epoch}, step {step}"
        device = pl_module.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            files = snapshots(
                pl_module.model,  # type: ignore[arg-type]
                self._images.to(device),
                self._labels,
                classes,
                when,
            )
        several = (trainer.val_check_batch or math.inf) < trainer.num_training_batches
        folder = self.folder / (f"epoch={epoch:03d}" + (f"-step={step:08d}" if several else ""))
        names = [file_name(classes[label]) for label in self._labels]
        paths = [folder / f"{name}.png" for name in names]
        for path, content in zip(paths, files, strict=True):
            write_bytes(path, content)
        pictures = {
            f"inside/{name}": Artifact(path, f"{name}, {when}")
            for name, path in zip(names, paths, strict=True)
        }
        log_images(trainer.loggers, pictures, step)
