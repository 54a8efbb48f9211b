"""Base of all data modules: loaders whose order is a function of (seed, epoch), and the position inside the epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as pl
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from mmdl.data.sampler import GroupedBatchSampler, IntArray
from mmdl.errors import UserError
from mmdl.runs.stop_signals import children_deaf


def _keep(batch: Any) -> Any:
    """The data set returns whole batches, so that there is nothing to collate."""
    return batch


class BatchLoader(DataLoader[Any]):
    """A loader that raises the `UserError` that a data set returned in a loader process.

    What is raised in such a process reaches the training as a `RuntimeError` whose message is a traceback. The
    processes don't hear the signals that ask the training to stop.
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        with children_deaf():
            batches = super().__iter__()
        for batch in batches:
            if isinstance(batch, UserError):
                raise batch
            yield batch


class DataModule(pl.LightningDataModule):
    """Base of mmdl's data modules: a subclass gives the splits, this class the loaders.

    A subclass sets `produces` (a type of `mmdl.batch`) and implements `dataset`, `offsets` and `splits`.

    Args:
        batch_size: Samples in a training batch of one rank.
        eval_batch_size: Samples in an evaluation batch of one rank.
        group: Keep samples that share an image in one batch.
        num_workers: Loader processes; 0 loads in the training process, which is faster for data that is in memory.
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
    ) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.group = group
        self.num_workers = num_workers
        self.seed = seed
        self.overfit_batches = overfit_batches
        self._start = (0, 0)
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
    ) -> dict[str, Any] | None:
        """Write predictions per sample under a name; returns columns and rows of a table for the tracker."""
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
            batch_size=None,
            sampler=self.sampler(split) if sampler is None else sampler,
            collate_fn=_keep,
            # a forked process can't use an accelerator's memory, and there is nothing left for it to do
            num_workers=0 if self.loads_on_device else self.num_workers,
            pin_memory=torch.cuda.is_available() and not self.loads_on_device,
            persistent_workers=False,
            generator=torch.Generator().manual_seed(self.seed),
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
        epoch = trainer.current_epoch
        if done >= trainer.num_training_batches:
            epoch, done = epoch + 1, 0
        return {
            "epoch": epoch,
            "batch": done,
            "place": int(self.sampler("train").bounds[done]),
            "seed": self.seed,
            "global_batch": self.batch_size * trainer.world_size,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue at a saved position; another global batch starts at the nearest earlier batch boundary."""
        place = state_dict.get("place", state_dict["batch"] * state_dict["global_batch"])
        self._start = (state_dict["epoch"], self.sampler("train").batch_at(place))
