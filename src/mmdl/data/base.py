"""Base of all data modules: loaders whose order is a function of (seed, epoch), and the position inside the epoch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import lightning.pytorch as pl
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from mmdl.data.batch_loader import WORKER_TIMEOUT_S, BatchLoader
from mmdl.data.sampler import GroupedBatchSampler, IntArray

if TYPE_CHECKING:
    from mmdl.data.item_pictures import ItemPictures
    from mmdl.runs.item_files import Predictions

__all__ = ["WORKER_TIMEOUT_S", "DataModule"]

log = logging.getLogger("mmdl")


class Moved(NamedTuple):
    """Where a run goes on that is continued with other batches than it had.

    Attributes:
        epoch: Which epoch.
        batch: Number of its first batch, as batches are cut now.
        steps: Optimizer steps that were done.
        shift: What `batch` differs by from the number of the batches that were done.
    """

    epoch: int
    batch: int
    steps: int
    shift: int


class DataModule(pl.LightningDataModule):
    """Base of mmdl's data modules: a subclass gives the splits, this class the loaders.

    A subclass sets `produces` (a type of `mmdl.batch`) and implements `dataset`, `offsets` and `splits`.

    Args:
        batch_size: Samples in a training batch of one rank.
        eval_batch_size: Samples in an evaluation batch of one rank.
        group: Keep samples that share an image in one batch.
        num_workers: Loader processes; 0 loads in the training process, which is faster for data that is in memory.
        worker_timeout_s: End the run when loader processes get no sample for so many seconds.
        seed: Seed of the sample order.
        overfit_batches: Train on the first so many batches only, unshuffled (0: all).
    """

    produces: ClassVar[type]
    even_batches: ClassVar[bool] = False
    """Whether the training batches of an epoch are of nearly equal size, where the loss depends on it."""

    def __init__(
        self,
        *,
        batch_size: int,
        eval_batch_size: int,
        group: bool,
        num_workers: int,
        seed: int,
        overfit_batches: int,
        worker_timeout_s: float = WORKER_TIMEOUT_S,
    ) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.group = group
        self.num_workers = num_workers
        self.worker_timeout_s = worker_timeout_s
        self.seed = seed
        self.overfit_batches = overfit_batches
        self._start = (0, 0)
        self.moved: Moved | None = None
        """Set where a run is continued with another number of samples in a batch of all ranks."""
        self._trained: GroupedBatchSampler | None = None

    def dataset(self, split: str) -> Dataset[Any]:
        """Data set of a split: maps an array of rows to a whole batch."""
        raise TypeError(f"{type(self).__name__} has no data set {split!r}")

    def batch(self, split: str, rows: IntArray) -> Any:
        """The batch of some rows; of `train` as training has it in its first epoch, without augmentation."""
        return self.dataset(split)[rows]

    def setup(self, stage: str | None = None, splits: Sequence[str] = ("train", "val", "test")) -> None:
        """Read the splits; a second call does nothing for what is there."""

    def offsets(self, split: str) -> IntArray:
        """`(G + 1,)` int64 row offsets of the groups of a split."""
        raise TypeError(f"{type(self).__name__} has no split {split!r}")

    def order(self, split: str) -> Callable[[int, int], IntArray] | None:
        """(seed, epoch) -> rows of a shuffled split, where it has an order of its own."""
        return None

    def sizes(self, split: str) -> dict[str, int]:
        """How much a split holds, by unit, such as `{"questions": 214354, "images": 40504}`; samples come first."""
        return {"samples": int(self.offsets(split)[-1])}

    def splits(self) -> Mapping[str, Set[str]]:
        """Split -> ids of what must not be shared between splits."""
        raise TypeError(f"{type(self).__name__} names no splits")

    def vocabularies(self) -> dict[str, Any]:
        """What training derived from the data (answer list, tokenizer), as plain values for the checkpoint."""
        return {}

    def facts(self) -> dict[str, Any]:
        """Config keys below `data` that become known with the data, such as `num_answers`."""
        return {}

    def place(self, device: torch.device) -> None:
        """Move to the training device what may live there; called once before training."""

    @property
    def loads_on_device(self) -> bool:
        """Whether batches come from an accelerator's memory, so that there is nothing to pin."""
        return False

    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of each split and vocabulary."""
        return {}

    def marks(self) -> dict[str, Any]:
        """What a reader of the results must know, such as `trained_on_val`."""
        return {}

    def notes(self, split: str) -> list[str]:
        """Lines that belong beside the figures of a split, such as the scoring rule."""
        return []

    def cautions(self) -> list[str]:
        """Lines on the data for the start of a run, which `check` prints too: what may surprise, beyond `skipped`."""
        return []

    def has_split(self, split: str) -> bool:
        """Whether the data has a split."""
        return split in self.splits()

    def describe(self, split: str, rows: IntArray) -> str:
        """Names of samples, for a message."""
        return ""

    def write_reports(self, folder: Path) -> None:
        """Write what is to be known of the data into the run folder."""

    def write_predictions(
        self, folder: Path, name: str, outputs: Mapping[str, np.ndarray[Any, Any]], split: str
    ) -> None:
        """Write predictions per sample under a name, one record a line, and beside each file what it holds."""
        from mmdl.runs.item_files import write_items

        for kind, metric, records, suffix in self.predictions(split, outputs):
            path = folder / f"{name}{suffix}.jsonl"
            write_items(path, records, kind=kind, split=split, metric=metric)

    def predictions(
        self, split: str, outputs: Mapping[str, np.ndarray[Any, Any]], chosen: IntArray | None = None
    ) -> list[Predictions]:
        """Predictions per sample with their scores; without outputs, none.

        Args:
            split: Which split the outputs are of.
            outputs: Of the task, as evaluators see them.
            chosen: Only those of these rows; None: all.
        """
        return []

    def pictures(self, split: str) -> ItemPictures | None:
        """The images of a split for people, by the keys that predictions name them with; None: it has none."""
        return None

    def load_vocabularies(self, state: dict[str, Any]) -> None:
        """Take the vocabularies of a checkpoint instead of deriving them; call before `setup`."""

    @property
    def skipped(self) -> dict[str, int]:
        """Samples left out under `on_bad_sample=skip`, by reason."""
        return {}

    def sampler(self, split: str, training: bool | None = None) -> GroupedBatchSampler:
        """The sampler of a split for this rank, at the position of the run.

        Args:
            split: `train`, `val` or `test`.
            training: False walks the training split as an evaluation does; None: as the split's name says.
        """
        training = split == "train" if training is None else training
        trainer = self.trainer
        return GroupedBatchSampler(
            self.offsets(split),
            self.batch_size if training else self.eval_batch_size,
            seed=self.seed,
            shuffle=training,
            group=self.group,
            rank=trainer.global_rank if trainer is not None else 0,
            world_size=trainer.world_size if trainer is not None else 1,
            start=self._start if training else (0, 0),
            limit=self.overfit_batches if training else 0,
            order=self.order(split) if training else None,
            even=training and self.even_batches,
        )

    def steps_per_epoch(self, world_size: int = 1) -> int:
        """Training batches an epoch on each of `world_size` ranks."""
        sampler = GroupedBatchSampler(
            self.offsets("train"),
            self.batch_size,
            world_size=world_size,
            limit=self.overfit_batches,
            even=self.even_batches,
        )
        return len(sampler)

    def loader(self, split: str, sampler: GroupedBatchSampler | None = None) -> DataLoader[Any]:
        """Loader of a split; its batches come whole from the data set.

        Args:
            split: `train`, `val` or `test`.
            sampler: Which rows, in place of the split's own order from the position of the run.
        """
        # A generator of its own keeps the making of an iterator from drawing on the global random state, which
        # would make an epoch that was resumed differ from one that was not.
        return BatchLoader(
            self.dataset(split),
            self.sampler(split) if sampler is None else sampler,
            # a forked process can't use an accelerator's memory, and there is nothing left for it to do
            num_workers=0 if self.loads_on_device else self.num_workers,
            pin_memory=torch.cuda.is_available() and not self.loads_on_device,
            generator=torch.Generator().manual_seed(self.seed),
            worker_timeout_s=self.worker_timeout_s,
            describe=partial(self.describe, split),
        )

    def attached(self, trainer: pl.Trainer, split: str) -> DataLoader[Any]:
        """Loader of any split for a trainer that is given loaders and not the data module: every sample once."""
        self.trainer = trainer
        return self.loader(split, self.sampler(split, training=False))

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled training batches, from the position of the run."""
        self._trained = self.sampler("train")
        return self.loader("train")

    def share(self, batch: int) -> tuple[int, int]:
        """Samples of a training batch of the epoch: on this rank, and on all; (0, n) on a rank that is idle."""
        assert self._trained is not None
        return self._trained.share(batch)

    def val_dataloader(self) -> DataLoader[Any]:
        """Validation batches: every sample once."""
        return self.loader("val")

    def test_dataloader(self) -> DataLoader[Any]:
        """Test batches: every sample once."""
        return self.loader("test")

    def state_dict(self) -> dict[str, Any]:
        """The position inside the epoch, and what the order depends on."""
        trainer = self.trainer
        if trainer is None:
            return {}
        done = int(trainer.fit_loop.epoch_loop.batch_progress.current.processed)  # type: ignore[attr-defined]
        epoch, place = trainer.current_epoch, 0
        if done >= trainer.num_training_batches:
            epoch, done = epoch + 1, 0
        else:
            place = int(self.sampler("train").bounds[done])
        return {
            "epoch": epoch,
            "batch": done,
            "place": place,
            "steps": trainer.global_step,
            "seed": self.seed,
            "global_batch": self.batch_size * trainer.world_size,
            "accumulated": trainer.accumulate_grad_batches,
            "moved": None if self.moved is None else list(self.moved),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue at a saved position; another global batch starts at the nearest earlier batch boundary."""
        sampler, place = self.sampler("train"), int(state_dict["place"])
        trainer = self.trainer
        assert trainer is not None
        self._start = (state_dict["epoch"], state_dict["batch"])
        accumulated: int = trainer.accumulate_grad_batches
        # earlier versions did not save all of these
        before = state_dict["global_batch"], state_dict.get("accumulated", accumulated)
        if before == (self.batch_size * trainer.world_size, accumulated):
            moved = state_dict.get("moved")
            self.moved = None if moved is None else Moved(*moved)._replace(shift=0)
            return
        batch = min(sampler.batch_at(place), len(sampler) - 1) // accumulated * accumulated
        self._start = (state_dict["epoch"], batch)
        self.moved = Moved(
            *self._start, state_dict.get("steps", trainer.global_step), batch - state_dict["batch"]
        )
        if trainer.is_global_zero:
            log.warning(
                "batches of %d samples in place of %d: the epoch goes on at sample %d of %d; %d are seen again",
                *(self.batch_size * trainer.world_size, state_dict["global_batch"]),
                *(sampler.bounds[batch], sampler.num_rows, place - sampler.bounds[batch]),
            )
