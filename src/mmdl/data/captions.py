"""The data module of captioned images: one class for every source that yields a `CaptionIndex` a split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader

from mmdl.batch import ImageTextBatch
from mmdl.data.augment.base import Augmentation, augmented
from mmdl.data.augment.fill import tell_mean
from mmdl.data.augment.flip import Flip
from mmdl.data.augment.unmixed import unmixed_steps
from mmdl.data.bad_images import BadSamples, count_by_reason, listed
from mmdl.data.base import WORKER_TIMEOUT_S, DataModule
from mmdl.data.cache import Resize
from mmdl.data.caption_cautions import caption_cautions, cut, left_out, streamed_cautions, twice
from mmdl.data.caption_dataset import CaptionDataset, EpochRows, EpochSampler
from mmdl.data.caption_index import CaptionIndex
from mmdl.data.caption_options import CaptionDataOptions, OnBadSample
from mmdl.data.caption_pixels import CaptionView, caption_pixels
from mmdl.data.caption_source import CaptionSource
from mmdl.data.caption_texts import caption_texts
from mmdl.data.duplicates import shared_files
from mmdl.data.equal_images import equal_images
from mmdl.data.every_split import every_split
from mmdl.data.image_files import ListedFiles
from mmdl.data.item_pictures import ItemPictures
from mmdl.data.pixels import Pixels
from mmdl.data.sampler import IntArray, spread_rows
from mmdl.data.shard_dataset import ShardDataset, ShardView
from mmdl.data.shard_index import ShardIndex
from mmdl.data.vqa_dataset import Tokenizer
from mmdl.errors import UserError

if TYPE_CHECKING:
    from mmdl.runs.item_files import Predictions

__all__ = ["CaptionDataModule", "CaptionDataOptions", "CaptionSource", "OnBadSample"]

STATISTICS_FROM = 2_000
"""Training images whose mean stands for that of all, for augmentations that fill with it."""


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
        worker_timeout_s: End the run when loader processes get no sample for so many seconds.
        seed: Seed of the order, of the choice of captions, and of the augmentation.
        on_bad_sample: `raise` stops at bad samples and lists them; `skip` leaves them out and counts them.
        cache_pixels: Keep decoded pixels in a memory-mapped file below `$MMDL_DATA`.
        cache_features: Keep the outputs of frozen towers there.
        feature_dtype: Precision of those.
        overfit_batches: Train on the first so many batches only.
    """

    produces = ImageTextBatch
    even_batches = True

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
        worker_timeout_s: float = WORKER_TIMEOUT_S,
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
            worker_timeout_s=worker_timeout_s,
            seed=seed,
            overfit_batches=overfit_batches,
        )
        counts = {"batch_size": batch_size, "eval_batch_size": eval_batch_size, "image_size": image_size}
        choices = {"captions_per_image": captions_per_image, "eval_captions": eval_captions}
        for key, value in {**counts, **choices}.items():
            if value is not None and value < 1:
                valid = "1 or more" + ", or null: all" * (key in choices)
                raise UserError(f"data.{key}={value}", valid=valid)
        self.source = source
        self.tokenizer = tokenizer
        self.captions_per_image = captions_per_image
        self.eval_captions = eval_captions
        self.image_size = image_size
        self.resize: Resize = resize
        self.view = CaptionView(image_size, resize, cache_pixels, on_bad_sample == "skip")
        self.augment = unmixed_steps(augment)
        self.on_bad_sample = on_bad_sample
        self.cache_features = cache_features
        self.feature_dtype = feature_dtype
        self.indexes: dict[str, CaptionIndex] = {}
        self.datasets: dict[str, CaptionDataset] = {}
        self.streams: dict[str, ShardDataset] = {}
        """Splits that are read while training, and are in neither of the two above."""
        self._fitted = False
        self._skipped: Counter[str] = Counter()
        self._truncated, self._equal = dict[str, int](), dict[str, int]()
        self._shared_files = self._total_steps = 0

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
        known = self.has_split("train")
        pixels = self._read([split for split in splits if not self.has_split(split)])
        if not self._fitted:
            self.tokenizer.fit(list(dict.fromkeys(self._index("train").captions)))
            self._fitted = True
        for split, found in pixels.items():
            self.datasets[split] = self._encode(split, self.indexes[split], found)
        files = {split: index.files for split, index in self.indexes.items()}
        self._shared_files = shared_files({n: f for n, f in files.items() if isinstance(f, ListedFiles)})
        if not known and self.has_split("train") and any(hasattr(step, "fill") for step in self.augment):
            images = self._some_images().float()
            tell_mean(self.augment, (images.mean((0, 2, 3)) / 255).tolist())

    def _some_images(self) -> Tensor:
        """`(n, 3, H, W)` uint8 training images: evenly spread, or of the first shard of a stream."""
        if "train" in self.datasets:
            return self.datasets["train"].pixels[spread_rows(len(self.datasets["train"]), STATISTICS_FROM)]
        offsets = self.streams["train"].index.offsets
        return self.streams["train"][spread_rows(offsets[offsets > 0][0], STATISTICS_FROM // 4)]["images"]

    def _read(self, splits: Sequence[str]) -> dict[str, Pixels]:
        """The pixels of some splits, whose indexes are kept.

        Raises:
            UserErrors: What is wrong with all of them.
        """
        indexes: dict[str, CaptionIndex | ShardIndex] = every_split(self.source.index, splits)
        pixels: dict[str, Pixels] = {}
        bad: list[BadSamples] = []
        kept: dict[str, CaptionIndex] = {}
        for split, index in indexes.items():
            if not isinstance(index, ShardIndex):
                kept[split], pixels[split], found = caption_pixels(split, index, self.view)
                bad += found
        if bad and self.on_bad_sample == "raise":
            raise listed(bad)
        for counts in (*(index.skipped for index in indexes.values()), count_by_reason(bad)):
            self._skipped.update(counts)
        self.indexes |= kept
        self.streams |= {
            s: self._stream(index) for s, index in indexes.items() if isinstance(index, ShardIndex)
        }
        return pixels

    def _stream(self, index: ShardIndex) -> ShardDataset:
        counts = self.captions_per_image, self.eval_captions
        view = ShardView(self.image_size, self.resize, *counts, self.seed, self.on_bad_sample == "skip")
        return ShardDataset(index, self.tokenizer, view)

    def _encode(self, split: str, index: CaptionIndex, pixels: Pixels) -> CaptionDataset:
        texts = caption_texts(self.tokenizer, index.captions, f"tokenizing {split} captions")
        image_ids = equal_images(index.files)
        self._truncated[split] = texts.truncated
        self._equal[split] = int((image_ids != np.arange(len(index))).sum())
        return CaptionDataset(
            index,
            pixels,
            (texts.ids, texts.mask, texts.text_of),
            self.captions_per_image,
            self.eval_captions,
            image_ids,
            self.seed,
        )

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

    def teardown(self, stage: str) -> None:
        """After the training, every rank knows what all have left out while reading."""
        trainer = self.trainer
        if trainer is not None and trainer.world_size > 1 and stage == "fit":
            for stream in self.streams.values():
                stream.join_ranks(trainer.strategy.root_device)

    # -- what the base asks for -------------------------------------------------------------------------------------

    def _index(self, split: str) -> CaptionIndex | ShardIndex:
        if not self.has_split(split):
            raise UserError(
                f"the data has no {split!r} split",
                valid=", ".join([*self.streams, *self.indexes]) or "none",
                fix="choose another split",
            )
        return self.streams[split].index if split in self.streams else self.indexes[split]

    def has_split(self, split: str) -> bool:
        """Whether the data has a split."""
        return split in self.streams or split in self.indexes

    def dataset(self, split: str) -> CaptionDataset | ShardDataset:
        """Data set of `train`, `val` or `test`.

        Raises:
            UserError: if the source has no such split.
        """
        self._index(split)
        return self.streams[split] if split in self.streams else self.datasets[split]

    def order(self, split: str) -> Callable[[int, int], IntArray] | None:
        """Samples that are read while training come in an order that keeps to a few shards at a time."""
        return self.streams[split].index.order if split in self.streams else None

    def batch(self, split: str, rows: IntArray) -> ImageTextBatch:
        """The batch of some rows; of `train` with the captions of the first epoch."""
        return self.dataset(split)[EpochRows(rows, 0) if split == "train" else rows]

    def offsets(self, split: str) -> IntArray:
        """`(I + 1,)` int64: each image is a group of its own."""
        return np.arange(len(self._index(split)) + 1, dtype=np.int64)

    def sizes(self, split: str) -> dict[str, int]:
        """Images and captions of a split; how many captions a stream has is not known."""
        index = self._index(split)
        captions = {} if split in self.streams else {"captions": len(self.indexes[split].captions)}
        return {"images": len(index)} | captions

    def splits(self) -> Mapping[str, Set[str]]:
        """Split -> image ids: no image may be in two splits."""
        found: dict[str, Set[str]] = {split: stream.index.image_ids for split, stream in self.streams.items()}
        return found | {split: frozenset(map(str, index.image_ids)) for split, index in self.indexes.items()}

    @property
    def skipped(self) -> dict[str, int]:
        """Samples left out, by reason, over all splits."""
        found = Counter(self._skipped)
        for stream in self.streams.values():
            found.update(stream.skipped())
        return dict(found)

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        return self.tokenizer.vocab_size

    def facts(self) -> dict[str, Any]:
        """Config keys below `data` that become known with the data."""
        return {"vocab_size": self.vocab_size}

    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of each split's index and of the tokenizer."""
        hashes = {split: self._index(split).fingerprint for split in [*self.streams, *self.indexes]}
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
        """What was left out, cut or joined."""
        return {
            "skipped": self.skipped,
            "truncated_captions": dict(self._truncated),
            "joined_duplicates": {split: index.joined for split, index in self.indexes.items()},
            "equal_images": dict(self._equal),
            "files_in_several_splits": self._shared_files,
        }

    def cautions(self) -> list[str]:
        """How many captions are cut, images are equal, entries were joined, and captions an augmentation falsifies."""
        flipped = any(isinstance(step, Flip) for step in self.augment)
        duplicates = [n for s, index in self.indexes.items() for n in twice(s, index, self._equal[s])]
        lines = caption_cautions(self.indexes, self._truncated, self.context_length, duplicates, flipped)
        for split, stream in self.streams.items():
            lines += streamed_cautions(split, stream.index, self.tokenizer, flipped)
        return lines

    @property
    def context_length(self) -> int:
        """Tokens that a caption is padded or cut to, `L`."""
        return int(self.tokenizer([""])[0].shape[1])

    def notes(self, split: str) -> list[str]:
        """What a reader of the figures of a split must know."""
        lines = [*self._index(split).notes, *left_out(self._skipped)]
        for name, stream in self.streams.items():
            lines += [f"left out while reading {name}: {n:,} {why}" for why, n in stream.skipped().items()]
        if split in self.indexes:  # a stream is not known well enough
            index = self.indexes[split]
            lines += twice(split, index, self._equal[split])
            lines += cut(split, index, self._truncated[split], self.context_length)
        if self._shared_files:
            lines.append(f"{self._shared_files:,} image files lie in more than one split, byte for byte")
        return lines

    def describe(self, split: str, rows: IntArray) -> str:
        """The first images of a batch by id."""
        ids = self._index(split).image_ids
        return "images " + ", ".join(str(ids[row]) for row in rows[:5].tolist()) + ", ..." * (len(rows) > 5)

    def pictures(self, split: str) -> ItemPictures | None:
        """The images of a split; none of one that is read while training."""
        if split not in self.indexes:
            return None
        index = self.indexes[split]
        return ItemPictures([str(own) for own in index.image_ids], index.files, self.datasets[split].pixels)

    def predictions(
        self, split: str, outputs: Mapping[str, np.ndarray[Any, Any]], chosen: IntArray | None = None
    ) -> list[Predictions]:
        """What each caption and each image finds; none of a split that is read while training."""
        from mmdl.runs.retrieval_predictions import retrieval_predictions

        return retrieval_predictions(self.indexes[split], outputs, chosen) if split in self.indexes else []
