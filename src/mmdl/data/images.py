"""The image-classification data module: one class for every source that yields an `ImageSplit` a split."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mmdl.batch import ImageBatch
from mmdl.data.augment.base import Augmentation, augmented
from mmdl.data.augment.fill import tell_mean
from mmdl.data.bad_images import BadSamples, count_by_reason, listed, other_classes
from mmdl.data.base import WORKER_TIMEOUT_S, DataModule
from mmdl.data.cache import Resize
from mmdl.data.duplicates import shared_files
from mmdl.data.holdout import hold_out_val
from mmdl.data.image_dataset import ImageDataset, ResidentPixels, statistics_of
from mmdl.data.image_decoding import RESIDENT_SHARE, ImageView, decoded_dataset
from mmdl.data.image_files import PathFiles
from mmdl.data.image_options import ImageDataOptions, OnBadSample
from mmdl.data.image_split import ImageSource, ImageSplit
from mmdl.data.item_pictures import ItemPictures
from mmdl.data.sampler import IntArray, rows_of
from mmdl.errors import UserError
from mmdl.runs.item_records import repeats

if TYPE_CHECKING:
    from mmdl.runs.item_files import Predictions

__all__ = ["ImageDataModule", "ImageDataOptions", "OnBadSample"]


class ImageDataModule(DataModule):
    """Images with their classes; validation is held out of train, test is read by the final test only.

    Args:
        source: Where the images come from.
        batch_size: Images in a training batch of one rank.
        eval_batch_size: Images in an evaluation batch.
        image_size: Height and width in pixels that images are brought to; None keeps those of the source.
        channels: 1 (grey) or 3 (RGB); None keeps those of the source.
        resize: `squash` changes the aspect ratio, `crop` cuts the centre out, `pad` adds black borders.
        augment: Name -> augmentation, applied to training batches in this order, on the device.
        val_share: Share of the training images that is held out for validation, the classes in the same
            proportions, where the source has no validation split of its own.
        split_seed: Seed of which images are held out: another `seed` trains on the same ones.
        limit_train: Train on so many images only, the classes in the same proportions; None: all.
        num_classes: Filled in by the program.
        mean: Mean of each channel in [0, 1], for the model's normalisation; None takes the training images'.
        std: Standard deviation, likewise.
        num_workers: Loader processes, for images that are decoded as they are needed.
        worker_timeout_s: End the run when loader processes get no sample for so many seconds.
        seed: Seed of the order and of the augmentation.
        on_bad_sample: `raise` stops at bad files and lists them; `skip` leaves them out and counts them.
        cache_pixels: Keep decoded files in a memory-mapped file below `$MMDL_DATA`.
        on_device: Keep all images in the memory of the training device; None: where they fit.
        overfit_batches: Train on the first so many batches only.
        train_on_val: Add the validation images to the training ones; the run is marked.
    """

    produces = ImageBatch

    def __init__(
        self,
        source: ImageSource,
        *,
        batch_size: int = 512,
        eval_batch_size: int = 1000,
        image_size: int | None = None,
        channels: int | None = None,
        resize: Resize = "squash",
        augment: Mapping[str, Augmentation] | None = None,
        val_share: float = 0.1,
        split_seed: int = 0,
        limit_train: int | None = None,
        num_classes: int | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        num_workers: int = 0,
        worker_timeout_s: float = WORKER_TIMEOUT_S,
        seed: int = 0,
        on_bad_sample: OnBadSample = "raise",
        cache_pixels: bool = True,
        on_device: bool | None = None,
        overfit_batches: int = 0,
        train_on_val: bool = False,
    ) -> None:
        super().__init__(
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            group=False,
            num_workers=num_workers,
            worker_timeout_s=worker_timeout_s,
            seed=seed,
            overfit_batches=overfit_batches,
        )
        if not 0 < val_share < 1:
            raise UserError(
                f"data.val_share={val_share}", valid="a share between 0 and 1", fix="data.val_share=0.1"
            )
        if channels not in (None, 1, 3):
            raise UserError(f"data.channels={channels}", valid="1 (grey), 3 (RGB), or null: as they are")
        for key, value in (("image_size", image_size), ("limit_train", limit_train)):
            if value is not None and value < 1:
                raise UserError(f"data.{key}={value}", valid="1 or more, or null")
        self.source = source
        self.view = ImageView(image_size, channels, resize, cache_pixels, on_device, on_bad_sample == "skip")
        # a plain mapping is what an experiment sets of a step that the command line took away
        steps = (augment or {}).values()
        self.augment = [step for step in steps if step is not None and not isinstance(step, Mapping)]
        self.val_share = val_share
        self.split_seed = split_seed
        self.limit_train = limit_train
        self.statistics = (list(mean) if mean is not None else None, list(std) if std is not None else None)
        self.on_bad_sample = on_bad_sample
        self.train_on_val = train_on_val
        self.datasets: dict[str, ImageDataset] = {}
        self._classes: tuple[str, ...] = ()
        self._given_classes = False
        self._train_counts: IntArray | None = None
        self._bad: list[BadSamples] = []
        self._train_and_val: dict[str, ImageSplit] | None = None
        self._held_out = 0
        self._shared_files = 0
        self._total_steps = 0

    # -- making the splits ------------------------------------------------------------------------------------------

    def prepare_data(self) -> None:
        """Make or fetch the files of the source."""
        self.source.prepare()

    def setup(self, stage: str | None = None, splits: Sequence[str] = ("train", "val", "test")) -> None:
        """Read and decode the splits; a second call does nothing for what is there.

        The files of the test split are decoded with the others, so that a bad one is found before training and not
        after it. Nothing is computed from them: mean, deviation and classes come from the training images.

        Args:
            stage: Lightning's stage; everything is set up whatever it is.
            splits: Which splits.

        Raises:
            UserErrors: with `on_bad_sample=raise`, what can't be used of all these splits.
        """
        for name in splits:
            split = None if name in self.datasets else self._split(name)
            if split is None:
                continue
            split = self._with_classes(split)
            self.datasets[name], undecodable = decoded_dataset(name, split, self.view)
            self._bad += split.bad + undecodable
        if self._bad and self.on_bad_sample == "raise":
            raise listed(self._bad)
        if "train" in self.datasets and None in self.statistics:
            mean, std = statistics_of(self.datasets["train"])
            self.statistics = (self.statistics[0] or mean, self.statistics[1] or std)
        if self.statistics[0] is not None:
            tell_mean(self.augment, self.statistics[0])
        files = {name: dataset.split.files for name, dataset in self.datasets.items()}
        self._shared_files = shared_files({n: f for n, f in files.items() if isinstance(f, PathFiles)})

    def _split(self, name: str) -> ImageSplit | None:
        """A split, after validation images were held out of the training ones where need be."""
        if name == "test":
            return self.source.split("test")
        if self._train_and_val is None:
            self._train_and_val, self._held_out = hold_out_val(
                self.source.split("train"),
                self.source.split("val"),
                share=self.val_share,
                seed=self.split_seed,
                limit_train=self.limit_train,
                train_on_val=self.train_on_val,
            )
        return self._train_and_val.get(name)

    def _with_classes(self, split: ImageSplit) -> ImageSplit:
        """The split with the classes in the order of the run.

        Raises:
            UserError: if it has other classes.
        """
        if not self._classes:
            self._classes = split.classes
        if set(self._classes) != set(split.classes):
            whose = "the run was trained on" if self._given_classes else "another split of the data has"
            raise other_classes(split.classes, self._classes, whose)
        return split if split.classes == self._classes else split.relabelled(self._classes)

    def place(self, device: torch.device) -> None:
        """Move the images to the training device, where they fit: batches are then gathered there.

        Args:
            device: Of the model.
        """
        if device.type != "cuda" or self.view.on_device is False:
            return
        for dataset in self.datasets.values():
            pixels = dataset.pixels
            if isinstance(pixels, ResidentPixels):
                free, _ = torch.cuda.mem_get_info(device)
                if self.view.on_device or pixels.tensor.nbytes < RESIDENT_SHARE * free:
                    dataset.pixels = pixels.to(device)
                    if dataset.labels is not None:
                        dataset.labels = dataset.labels.to(device)

    # -- training ---------------------------------------------------------------------------------------------------

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Augment a training batch, on the device; see `Draws` for what the randomness depends on."""
        trainer = self.trainer
        if trainer is None or not trainer.training or not self.augment:
            return batch
        if not self._total_steps:
            task: Any = trainer.lightning_module
            self._total_steps = task.total_steps()
        return augmented(
            batch,
            self.augment,
            seed=self.seed,
            epoch=trainer.current_epoch,
            progress=min(1.0, trainer.global_step / self._total_steps),
            num_classes=self.num_classes,
        )

    # -- what the base asks for -------------------------------------------------------------------------------------

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the labels."""
        return self._classes

    @property
    def num_classes(self) -> int:
        """How many there are."""
        return len(self._classes)

    @property
    def train_counts(self) -> IntArray | None:
        """`(K,)` int64 training images of each class; of a checkpoint where train was not read; None: not known."""
        if "train" not in self.datasets:
            return self._train_counts
        return np.bincount(self.datasets["train"].split.labels, minlength=self.num_classes).astype(np.int64)

    @property
    def loads_on_device(self) -> bool:
        """Whether batches are made on an accelerator, so that there is nothing to pin."""
        return any(
            isinstance(dataset.pixels, ResidentPixels) and dataset.pixels.tensor.is_cuda
            for dataset in self.datasets.values()
        )

    def dataset(self, split: str) -> ImageDataset:
        """Data set of `train`, `val` or `test`.

        Raises:
            UserError: if the source has no such split.
        """
        if split not in self.datasets:
            raise UserError(
                f"the data has no {split!r} split",
                valid=", ".join(self.datasets) or "none",
                fix="choose another split",
            )
        return self.datasets[split]

    def offsets(self, split: str) -> IntArray:
        """`(N + 1,)` int64: each image is a group of its own."""
        return np.arange(len(self.dataset(split)) + 1, dtype=np.int64)

    def sizes(self, split: str) -> dict[str, int]:
        """Images of a split."""
        return {"images": len(self.dataset(split))}

    def splits(self) -> dict[str, frozenset[str]]:
        """Split -> ids of its images."""
        return {name: frozenset(map(str, dataset.split.ids)) for name, dataset in self.datasets.items()}

    @property
    def skipped(self) -> dict[str, int]:
        """Images left out, by reason, over all splits."""
        return count_by_reason(self._bad)

    def facts(self) -> dict[str, Any]:
        """Config keys below `data` that become known with the data."""
        if not self.datasets:
            return {}
        first = next(iter(self.datasets.values()))
        shape = first[np.zeros(1, dtype=np.int64)]["images"].shape
        if shape[-1] != shape[-2]:
            raise UserError(
                f"the images are {shape[-2]} x {shape[-1]} pixels",
                valid="squares",
                fix=f"data.image_size={min(shape[-2:])}",
            )
        facts = {"num_classes": self.num_classes, "channels": shape[1], "image_size": shape[-1]}
        mean, std = self.statistics
        return facts | ({"mean": mean, "std": std} if mean is not None and std is not None else {})

    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of each split and of the classes."""
        hashes = {name: dataset.split.fingerprint() for name, dataset in self.datasets.items()}
        return hashes | {"classes": _hash(self._classes)}

    def vocabularies(self) -> dict[str, Any]:
        """The class names with their hash, and how many training images each class had."""
        counts = self.train_counts
        state = {"classes": list(self._classes), "classes_sha256": _hash(self._classes)}
        return state | ({} if counts is None else {"train_counts": counts.tolist()})

    def load_vocabularies(self, state: dict[str, Any]) -> None:
        """Take over the classes of a checkpoint.

        Raises:
            UserError: if it has none, or the list does not match its hash.
        """
        if "classes" not in state:
            raise UserError(
                "the run has no classes: it is no run of image classification",
                valid="a run of that kind",
                fix="python -m mmdl ls data, and choose data of the run's kind",
            )
        classes = tuple(state["classes"])
        if _hash(classes) != state["classes_sha256"]:
            raise UserError("the class names of the checkpoint do not match their hash")
        self._classes, self._given_classes = classes, True
        if "train_counts" in state:
            self._train_counts = np.asarray(state["train_counts"], dtype=np.int64)

    def marks(self) -> dict[str, Any]:
        """Whether validation images were trained on, what was left out, and what is to be known of the splits."""
        return {
            "trained_on_val": self.train_on_val,
            "skipped": self.skipped,
            "data_notes": self._data_notes(),
        }

    def notes(self, split: str) -> list[str]:
        """Which images chose the weights, that the test split did not, and what is to be known of the data."""
        lines = []
        if self._held_out:
            lines.append(f"weights chosen on {self._held_out:,} images that were held out of train")
        if split == "test":
            lines.append("no weight, setting or statistic comes from the test images")
        if self.train_on_val:
            lines.append("trained on validation data")
        return lines + self._data_notes()

    def _data_notes(self) -> list[str]:
        """What the sources say of their splits, each line once, and whether splits share files."""
        found = [note for dataset in self.datasets.values() for note in dataset.split.notes]
        lines = list(dict.fromkeys(found))
        if self._shared_files:
            lines.append(
                f"warning: {self._shared_files:,} images lie in more than one split, byte for byte: the figures flatter"
            )
        return lines

    def describe(self, split: str, rows: IntArray) -> str:
        """The first images of a batch by id."""
        ids = self.dataset(split).split.ids
        return "images " + ", ".join(ids[row] for row in rows[:5].tolist()) + ", ..." * (len(rows) > 5)

    def pictures(self, split: str) -> ItemPictures:
        """The images of a split."""
        dataset = self.dataset(split)
        ids = [str(own) for own in dataset.split.ids]
        keys = [own if n == 1 else f"{own}#{n}" for own, n in zip(ids, repeats(ids), strict=True)]
        return ItemPictures(keys, dataset.split.files, dataset.pixels)

    def predictions(
        self, split: str, outputs: Mapping[str, np.ndarray[Any, Any]], chosen: IntArray | None = None
    ) -> list[Predictions]:
        """One record an image."""
        from mmdl.runs.image_predictions import image_records
        from mmdl.runs.item_files import Predictions

        if not outputs:
            return []
        if chosen is not None:
            outputs = rows_of(outputs, chosen)
        return [Predictions("classification", "accuracy", image_records(self, split, outputs))]


def _hash(classes: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(classes).encode()).hexdigest()
