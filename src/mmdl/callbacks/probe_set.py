"""A fixed set of validation items: what the model says of them at each validation, on disk."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from mmdl.data.sampler import spread_rows
from mmdl.errors import UserError
from mmdl.runs.files import WriteError
from mmdl.runs.probe_folder import ProbeFolder

log = logging.getLogger("mmdl")


class ProbeSet(Callback):
    """Writes `step-<N>.jsonl` at each validation: the records of the same items each time, in every run.

    The items are evenly spread over the validation split. Their outputs are those that the validation collected: the
    model runs no further forward. A run that is continued goes on with the files, each once.

    Args:
        folder: Where; the run folder's `media/probe`.
        items: How many (images of captioned data, each as a query and with its first caption).
        keep: Validations that are kept at most; beyond it every second one is dropped, again and again.
        pixels: Longer side of their images.
        megabytes: Of the records at most, and of the images.

    Raises:
        UserError: if a number is out of range.
    """

    def __init__(
        self, folder: str, items: int = 32, keep: int = 200, pixels: int = 160, megabytes: float = 4.0
    ) -> None:
        if items < 1 or keep < 2 or pixels < 1 or not megabytes > 0:
            raise UserError(
                f"callbacks.probe_set.items={items}, keep={keep}, pixels={pixels}, megabytes={megabytes}",
                valid="items and pixels of at least 1, keep of at least 2, megabytes above 0",
            )
        self.items = items
        self.pixels = pixels
        self.probe = ProbeFolder(Path(folder), keep, megabytes * 1e6)
        self._silent = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Drop what was written after the step that the run goes on from."""
        if trainer.is_global_zero:
            self._try(lambda: self.probe.rewind(trainer.global_step))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the records of what the task has just evaluated."""
        task: Any = pl_module
        context = task.context
        if (
            trainer.state.fn != "fit"
            or trainer.sanity_checking
            or not trainer.is_global_zero
            or context is None
        ):
            return
        data, split = context.data, context.split
        chosen = spread_rows(int(data.offsets(split)[-1]), self.items)
        predictions = data.predictions(split, context.outputs, chosen)
        records = [
            {**record, "direction": found.suffix[1:]} if found.suffix else record
            for found in predictions
            for record in found.records
        ]
        if not records:
            return
        facts = {"kind": predictions[0].kind, "split": split, "metric": predictions[0].metric}

        def write() -> None:
            self.probe.write(trainer.global_step, trainer.current_epoch, records, facts)
            self.probe.add_images(split, records, lambda: data.pictures(split), self.pixels)

        self._try(write)

    def _try(self, write: Any) -> None:
        """A training does not end for its probe set; that it could not be written is said once."""
        try:
            write()
        except WriteError as error:
            if not self._silent:
                log.warning("the probe set is not written: %s", error)
            self._silent = True
