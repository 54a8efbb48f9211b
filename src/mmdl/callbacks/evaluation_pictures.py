"""The evaluators' pictures of each validation, such as retrieval grids: how the answers change while a model learns."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from mmdl.errors import UserError
from mmdl.evaluators.base import Artifact
from mmdl.runs.tracker_images import log_images


class EvaluationPictures(Callback):
    """Writes `step=N/*.png` at each validation, and shows them in W&B and TensorBoard as `val_figures/*`.

    What is drawn is up to the evaluators: those that have `pictures` are asked after they have run. The first folder
    and the last ones stay on disk; the trackers keep all. A resumed run writes the pictures of a step that it does
    again to the same folder.

    Args:
        folder: Where; the run folder's `media/validation`.
        every_n_epochs: At the validations of every n-th epoch.
        keep: Folders that stay besides the first; None: all.

    Raises:
        UserError: if a number is out of range.
    """

    def __init__(self, folder: str, every_n_epochs: int = 1, keep: int | None = 5) -> None:
        if every_n_epochs < 1 or (keep is not None and keep < 1):
            raise UserError(
                f"callbacks.evaluation_pictures.every_n_epochs={every_n_epochs}, keep={keep}",
                valid="numbers of at least 1; keep=null keeps all",
            )
        self.folder = Path(folder)
        self.every_n_epochs = every_n_epochs
        self.keep = keep

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw what the task has just evaluated."""
        task: Any = pl_module
        context = task.context
        if trainer.state.fn != "fit" or trainer.sanity_checking or not trainer.is_global_zero:
            return
        if context is None or (trainer.current_epoch + 1) % self.every_n_epochs:
            return
        step = trainer.global_step
        folder = self.folder / f"step={step:08d}"
        drawn: dict[str, Artifact] = {}
        for evaluator in task.evaluators.values():
            if context.split in evaluator.splits and hasattr(evaluator, "pictures"):
                for picture in evaluator.pictures(context, folder):
                    name = picture.path.relative_to(folder).with_suffix("").as_posix()
                    drawn[f"val_figures/{name}"] = picture._replace(
                        caption=f"{picture.caption}, step {step:,}"
                    )
        log_images(trainer.loggers, drawn, step)
        self._tidy(step)

    def _tidy(self, step: int) -> None:
        """Remove all but the first and the last folders, and what was drawn after the step that a run resumed from."""
        if not self.folder.is_dir():
            return
        found = {
            int(match[1]): path
            for path in self.folder.iterdir()
            if (match := re.fullmatch(r"step=(\d+)", path.name)) and path.is_dir()
        }
        known = sorted(number for number in found if number <= step)
        stale = [number for number in found if number > step]
        if self.keep is not None:
            stale += known[1 : -self.keep]
        for number in stale:
            shutil.rmtree(found[number], ignore_errors=True)
