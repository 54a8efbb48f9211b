"""The data module of captioned images: one class for every source that yields a `CaptionIndex` a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypedDict

import numpy as np
from torch.utils.data import DataLoader

from mmdl.batch import ImageTextBatch
from mmdl.data.augment.base import Augmentation, augmented
from mmdl.data.base import DataModule
from mmdl.data.cache import PixelCache, PixelFiles, Resize
from mmdl.data.caption_dataset import CaptionDataset, EpochSampler, Pixels
from mmdl.data.caption_index import CaptionIndex
from mmdl.data.sampler import IntArray
from mmdl.data.vqa_dataset import Tokenizer
from mmdl.errors import UserError, UserErrors

OnBadSample = Literal["raise", "skip"]


class CaptionSource(Protocol):
    """Where the captioned images come from."""

    def prepare(self) -> None:
        """Make or fetch the files; called on one process at a time."""

    def index(self, split: str) -> CaptionIndex | None:
        """The validated index of `train`, `val` or `test`; None where the source has no such split."""


class CaptionDataOptions(TypedDict, total=False):
    """Arguments that every captioned data set shares; `CaptionDataModule` documents them."""

    tokenizer: Tokenizer
    batch_size: int
    eval_batch_size: int
    captions_per_image: int | None
    eval_captions: int | None
    image_size: int
    resize: Resize
    augment: Mapping[str, Augmentation] | None
    vocab_size: int | None
    num_workers: int
    seed: int
    on_bad_sample: OnBadSample
    cache_pixels: bool
    cache_features: bool
    feature_dtype: Literal["float32", "float16"]
    overfit_batches: int


class CaptionDataModule(DataModule):
    """Images with captions; an image is encoded once with all its captions of the batch.

    Args:
        source: Where the images come from.
        tokenizer: Text to token ids; fitted on the training captions.
        batch_size: Images in a training batch of one rank; their captions come with them.
        eval_batch_size: Images in an evaluation batch.
        captions_per_image: Captions of an image in a training batch, drawn anew in each epoch without replacement;
            1 is one random caption an epoch; None takes all.
        eval_captions: Evaluate with the first so many captions of an image; None takes all.
        image_size: Height and width in pixels that images are brought to.
        resize: `squash` changes the aspect ratio, `crop` cuts the centre out, `pad` adds black borders.
        augment: Name -> augmentation, applied to training images in this order, on the device.
        vocab_size: Number of token ids, for the model; None takes the tokenizer's.
        num_workers: Loader processes.
        seed: Seed of the order, of the choice of captions, and of the augmentation.
        on_bad_sample: `raise` stops at bad samples and lists them; `skip` leaves them out and counts them.
        cache_pixels: Keep decoded pixels in a memory-mapped file below `$MMDL_DATA`.
        cache_features: Keep the outputs of frozen towers there.
        feature_dtype: Precision of those.
        overfit_batches: Train on the first so many batches only.
    """

    produces = ImageTextBatch

    def __init__(
        self,
        source: CaptionSource,
        *,
        tokenizer: Tokenizer,
        batch_size: int = 256,
        eval_batch_size: int = 500,
        captions_per_image: int | None = None,
        eval_captions: int | None = None,
        image_size: int = 64,
        resize: Resize = "squash",
        augment: Mapping[str, Augmentation] | None = None,
        vocab_size: int | None = None,
        num_workers: int = 0,
        seed: int = 0,
        on_bad_sample: OnBadSample = "raise",
        cache_pixels: bool = True,
        cache_features: bool = True,
        feature_dtype: Literal["float32", "float16"] = "float32",
        overfit_batches: int = 0,
    ) -> None:
        super().__init__(
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            group=False,
            num_workers=num_workers,
            seed=seed,
            overfit_batches=overfit_batches,
        )
        for key, value in (("captions_per_image", captions_per_image), ("eval_captions", eval_captions)):
            if value is not None and value < 1:
                raise UserError(f"data.{key}={value}", valid="1 or more, or null: all")
        self.source = source
        self.tokenizer = tokenizer
        self.captions_per_image = captions_per_image
        self.eval_captions = eval_captions
        self.image_size = image_size
        self.resize: Resize = resize
        # a plain mapping is what an experiment sets of a step that the command line took away
        steps = (augment or {}).values()
        self.augment = [step for step in steps if step is not None and not isinstance(step, Mapping)]
        self.on_bad_sample = on_bad_sample
        self.cache_pixels = cache_pixels
        self.cache_features = cache_features
        self.feature_dtype = feature_dtype
        self.indexes: dict[str, CaptionIndex] = {}
        self.datasets: dict[str, CaptionDataset] = {}
        self._fitted = False
        self._skipped: dict[str, int] = {}
        self._total_steps = 0

    # -- making the splits ------------------------------------------------------------------------------------------

    def prepare_data(self) -> None:
        """Make or fetch the files of the source."""
        self.source.prepare()

    def setup(self, stage: str | None = None, splits: Sequence[str] = ("train", "val", "test")) -> None:
        """Read, validate and encode the splits; a second call does nothing for what is there.

        Args:
            stage: Lightning's stage; everything is set up whatever it is.
            splits: Which splits.
        """
        for split in splits:
            if split not in self.indexes:
                index = self.source.index(split)
                if index is not None:
                    self.indexes[split] = index
        if not self._fitted:
            self.tokenizer.fit(list(dict.fromkeys(self._index("train").captions)))
            self._fitted = True
        for split, index in list(self.indexes.items()):
            if split not in self.datasets:
                self.datasets[split] = self._encode(split, index)

    def _encode(self, split: str, index: CaptionIndex) -> CaptionDataset:
        index, pixels = self._pixels(split, index)
        self.indexes[split] = index
        for reason, count in index.skipped.items():
            self._skipped[reason] = self._skipped.get(reason, 0) + count
        texts = {text: position for position, text in enumerate(dict.fromkeys(index.captions))}
        ids, mask = self.tokenizer(list(texts))
        text_of = np.fromiter((texts[text] for text in index.captions), np.int64, len(index.captions))
        image_ids = np.arange(len(index), dtype=np.int64)
        return CaptionDataset(
            index,
            pixels,
            (ids, mask, text_of),
            self.captions_per_image,
            self.eval_captions,
            image_ids,
            self.seed,
        )

    def _pixels(self, split: str, index: CaptionIndex) -> tuple[CaptionIndex, Pixels]:
        paths = [Path(path) for path in index.image_paths]
        # Decoding everything once is what finds bad files before training; without a cache it is done only where
        # bad files are to be left out.
        if not self.cache_pixels and self.on_bad_sample == "raise":
            return index, PixelFiles(paths, self.image_size, self.resize)
        cache = PixelCache(paths, self.image_size, self.resize, f"decoding {split} images")
        if not cache.bad:
            return index, cache
        if self.on_bad_sample == "raise":
            errors = [UserError(message) for _, message in list(cache.bad.values())[:20]]
            errors[-1].fix = "mend or remove these files, or data.on_bad_sample=skip"
            raise UserErrors(errors)
        kept = np.setdiff1d(np.arange(len(index)), np.fromiter(cache.bad, dtype=np.int64))
        skipped = dict(index.skipped)
        for reason, _ in cache.bad.values():
            skipped[reason] = skipped.get(reason, 0) + 1
        index = index.select(kept)
        index.skipped = skipped
        return self._pixels(split, index)

    # -- training ---------------------------------------------------------------------------------------------------

    def loader(self, split: str, sampler: Any = None) -> DataLoader[Any]:
        """Loader of a split; a training batch carries the epoch to the choice of its captions."""
        if sampler is None and split == "train":
            sampler = EpochSampler(self.sampler(split))
        return super().loader(split, sampler)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Augment the images of a training batch, on the device; see `Draws` for what the randomness depends on."""
        trainer = self.trainer
        if trainer is None or not trainer.training or not self.augment or "images" not in batch:
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
            num_classes=0,
        )

    # -- what the base asks for -------------------------------------------------------------------------------------

    def _index(self, split: str) -> CaptionIndex:
        if split not in self.indexes:
            raise UserError(
                f"the data has no {split!r} split",
                valid=", ".join(self.indexes) or "none",
                fix="choose another split",
            )
        return self.indexes[split]

    def dataset(self, split: str) -> CaptionDataset:
        """Data set of `train`, `val` or `test`.

        Raises:
            UserError: if the source has no such split.
        """
        self._index(split)
        return self.datasets[split]

    def offsets(self, split: str) -> IntArray:
        """`(I + 1,)` int64: each image is a group of its own."""
        return np.arange(len(self._index(split)) + 1, dtype=np.int64)

    def splits(self) -> dict[str, frozenset[str]]:
        """Split -> image ids: no image may be in two splits."""
        return {split: frozenset(map(str, index.image_ids)) for split, index in self.indexes.items()}

    @property
    def skipped(self) -> dict[str, int]:
        """Samples left out, by reason, over all splits."""
        return dict(self._skipped)

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        return self.tokenizer.vocab_size

    def facts(self) -> dict[str, Any]:
        """Config keys below `data` that become known with the data."""
        return {"vocab_size": self.vocab_size}

    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of each split's index and of the tokenizer."""
        hashes = {split: index.fingerprint for split, index in self.indexes.items()}
        return hashes | {"tokenizer": self.tokenizer.fingerprint()}

    def vocabularies(self) -> dict[str, Any]:
        """The tokenizer's state with its hash."""
        return {"tokenizer": self.tokenizer.state_dict(), "tokenizer_sha256": self.tokenizer.fingerprint()}

    def load_vocabularies(self, state: dict[str, Any]) -> None:
        """Take over the tokenizer of a checkpoint.

        Raises:
            UserError: if there is none, it does not match its hash, or it is another one.
        """
        if "tokenizer" not in state or "answers" in state:
            raise UserError(
                "the run is no run of images and captions",
                valid="a run of that kind",
                fix="python -m mmdl ls data, and choose data of the run's kind",
            )
        self.tokenizer.load_state_dict(state["tokenizer"])
        if self.tokenizer.fingerprint() != state["tokenizer_sha256"]:
            raise UserError(
                "the tokenizer of the checkpoint does not match its hash",
                fix="use the run's own data configuration, or another checkpoint",
            )
        self._fitted = True

    def marks(self) -> dict[str, Any]:
        """What was left out."""
        return {"skipped": self.skipped}

    def notes(self, split: str) -> list[str]:
        """What a reader of the figures of a split must know."""
        return list(self._index(split).notes)

    def describe(self, split: str, rows: IntArray) -> str:
        """The first images of a batch by id."""
        ids = self._index(split).image_ids
        return "images " + ", ".join(str(ids[row]) for row in rows[:5].tolist()) + ", ..." * (len(rows) > 5)
