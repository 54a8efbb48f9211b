"""Captioned images in tar shards, on a file system or behind an HTTP server, read while training.

    data.shards='"/data/cc3m/{00000..00331}.tar"'
    data.shards='"https://host/cc3m/{00000..00331}.tar"' data.val_shards=https://host/cc3m/val.tar

A sample is a group of neighbouring files with one name: an image, and its captions as text or JSON. Shards are never
unpacked and nothing in them is unpickled: their headers are read once, samples by their offset. The order of an epoch
is a function of (seed, epoch), so a run continues inside an epoch exactly, on any number of ranks and loader workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Unpack

import numpy as np

from mmdl.data.bad_images import BadSamples, count_by_reason, listed
from mmdl.data.caption_index import CaptionIndex
from mmdl.data.captions import CaptionDataModule, CaptionDataOptions, OnBadSample
from mmdl.data.readers.shard_captions import BadCaptions, CaptionFormat
from mmdl.data.readers.tar_shard import IntArray
from mmdl.data.shard_files import ShardFiles
from mmdl.data.shard_index import LostSample, ShardIndex
from mmdl.data.shard_names import is_remote, shard_paths
from mmdl.data.sources.local_shards import LocalShards, Shards
from mmdl.data.sources.remote_shards import RemoteShards
from mmdl.errors import UserError

Patterns = str | Sequence[str]

SPLITS = ("train", "val", "test")


class Reading(NamedTuple):
    """How the training samples are read, and which are kept from it.

    Attributes:
        window: Shards among which an epoch is shuffled at a time; None: all.
        val_samples: Training samples that are held out for validation, where no shards are given for it.
        test_samples: Likewise for the test.
        split_seed: Seed of which.
        vocab_samples: A vocabulary is made of the captions of at most so many samples.
        cached: Decode everything once before training.
        cache_bytes: Fetched shards take at most so much of the disk.
    """

    window: int | None
    val_samples: int
    test_samples: int
    split_seed: int
    vocab_samples: int
    cached: bool
    cache_bytes: int


class ShardSource:
    """Tar shards as the splits of a captioned data set.

    Args:
        patterns: Split -> its shards; None where some of the training samples are held out.
        captions: Where the captions of a sample are.
        reading: How the training samples are read.
        on_bad_sample: `raise` lists what the headers, and the captions of evaluation splits, show to be unusable.
    """

    def __init__(
        self,
        patterns: dict[str, Patterns | None],
        captions: CaptionFormat,
        reading: Reading,
        on_bad_sample: OnBadSample,
    ) -> None:
        self.patterns = patterns
        self.captions = captions
        self.reading = reading
        self.on_bad_sample = on_bad_sample
        self._shards: dict[str, Shards] = {}
        self._rows: dict[str, IntArray] = {}

    def prepare(self) -> None:
        """Read the headers of local shards and the sizes of remote ones, so that other processes find them read.

        Raises:
            UserErrors: With `on_bad_sample=raise`, all that is wrong with the shards.
        """
        bad = [samples for shards in self._all().values() for samples in shards.bad]
        if bad and self.on_bad_sample == "raise":
            raise listed(bad)

    def index(self, split: str) -> CaptionIndex | ShardIndex | None:
        """The index of a split: of the training samples one that is read while training, unless they are cached.

        Raises:
            UserErrors: With `on_bad_sample=raise`, what can't be used.
            UserError: No sample is left, or too few to hold some out.
        """
        self.prepare()
        shards, rows = self._share(split)
        reading = self.reading
        skipped = count_by_reason(shards.bad) if split in self._shards else {}
        note = [] if split in self._shards else [f"{len(rows):,} of the samples in the training shards"]
        index = ShardIndex(shards, self.captions, rows, reading.window, reading.vocab_samples, skipped, note)
        if not len(index):
            raise UserError(f"the {split} shards hold no usable sample", valid="an image and a caption each")
        return index if split == "train" and not reading.cached else self._whole(index)

    def _all(self) -> dict[str, Shards]:
        if not self._shards:
            for split in SPLITS:
                patterns = self.patterns[split]
                if patterns is not None:
                    key = "data.shards" if split == "train" else f"data.{split}_shards"
                    self._shards[split] = self._of(shard_paths(patterns, key), key)
        return self._shards

    def _of(self, paths: list[str], key: str) -> Shards:
        remote = [path for path in paths if is_remote(path)]
        if not remote:
            return LocalShards(paths, self.captions.file)
        if len(remote) < len(paths):
            raise UserError(f"{key} names shards on a file system and on a server", valid="one of both")
        return RemoteShards(paths, self.captions.file, key, self.reading.cache_bytes)

    def _share(self, split: str) -> tuple[Shards, IntArray]:
        """The shards of a split and which of their samples belong to it."""
        own = self._all()
        if split != "train" and split in own:
            return own[split], np.arange(int(own[split].counts.sum()), dtype=np.int64)
        if not self._rows:
            self._rows = self._held_out(own["train"], [name for name in SPLITS[1:] if name not in own])
        return own["train"], self._rows[split]

    def _held_out(self, shards: Shards, splits: list[str]) -> dict[str, IntArray]:
        """Rows of the training shards by split; of remote shards the last ones are held out, of others random ones."""
        total = int(shards.counts.sum())
        counts = {"val": self.reading.val_samples, "test": self.reading.test_samples}
        held = sum(counts[split] for split in splits)
        if splits and not 0 < held < total:
            keys = ", ".join(f"data.{split}_shards" for split in splits)
            fewer = " ".join(f"data.{split}_samples={max(1, total // 10)}" for split in splits)
            raise UserError(
                f"the shards hold {total:,} usable samples: too few to hold {held:,} out",
                valid=f"more shards, or {keys}",
                fix=fewer,
            )
        order = np.arange(total, dtype=np.int64)[::-1]
        if not shards.remote:
            order = np.random.Generator(np.random.PCG64(self.reading.split_seed)).permutation(total)
        rows, first = {}, 0
        for split in reversed(splits):  # the test comes first: it stays the same whatever val_samples is
            rows[split] = np.sort(order[first : first + counts[split]])
            first += counts[split]
        return rows | {"train": np.sort(order[first:])}

    def _whole(self, index: ShardIndex) -> CaptionIndex:
        """An index with its captions in memory, as evaluation needs it."""
        kept, captions, bad = [], [], []
        for row in range(len(index)):
            try:
                captions.append(index.captions_of(row))
                kept.append(row)
            except (BadCaptions, LostSample) as error:
                bad.append(BadSamples(error.reason, error.given))
        if bad and self.on_bad_sample == "raise":
            raise listed(bad)
        skipped = count_by_reason(bad)
        for reason, count in index.skipped.items():
            skipped[reason] = skipped.get(reason, 0) + count
        files = ShardFiles(index.select(np.array(kept, dtype=np.int64)))
        names = list(files.index.image_ids)
        return CaptionIndex(
            names, [""] * len(names), captions, skipped=skipped, notes=index.notes, files=files
        )


def webdataset(
    shards: Patterns,
    val_shards: Patterns | None = None,
    test_shards: Patterns | None = None,
    val_samples: int = 1000,
    test_samples: int = 1000,
    split_seed: int = 0,
    caption_file: str = "txt",
    caption_per_line: bool = False,
    caption_field: str = "caption",
    shuffle_shards: int | None = 8,
    vocab_samples: int = 100_000,
    cache_gb: float = 20.0,
    **options: Unpack[CaptionDataOptions],
) -> CaptionDataModule:
    """The data module of tar shards.

    Args:
        shards: Training shards: paths or addresses with `{0000..0099}`, a glob, a folder, or a list of these.
        val_shards: Shards of the validation split; None holds training samples out.
        test_shards: Likewise for the test.
        val_samples: How many are held out.
        test_samples: Likewise for the test.
        split_seed: Seed of which are held out.
        caption_file: Extension of the files that hold captions: `txt`, or `json`.
        caption_per_line: A text file holds one caption a line; else it is one caption.
        caption_field: Field of a JSON file: a text, or a list of texts.
        shuffle_shards: Shards among which an epoch is shuffled at a time; None: all.
        vocab_samples: A vocabulary is made of the captions of at most so many samples.
        cache_gb: Shards that were fetched from a server take at most so many GB below `$MMDL_DATA`.
        **options: As for `CaptionDataModule`. With `cache_pixels` every image is decoded once before training, and all
            captions are in memory.

    Raises:
        UserError: A setting is not valid.
    """
    for key, value in (("shuffle_shards", shuffle_shards), ("vocab_samples", vocab_samples)):
        if value is not None and value < 1:
            raise UserError(f"data.{key}={value}", valid="1 or more")
    for key, value in (("val_samples", val_samples), ("test_samples", test_samples)):
        if value < 1:
            raise UserError(f"data.{key}={value}", valid="1 or more, or shards of their own")
    if cache_gb <= 0:
        raise UserError(f"data.cache_gb={cache_gb}", valid="more than 0")
    options.setdefault("cache_pixels", False)
    if not options["cache_pixels"]:
        options["cache_features"] = False  # features are kept of images that are all known before training
    reading = Reading(
        shuffle_shards,
        val_samples,
        test_samples,
        split_seed,
        vocab_samples,
        options["cache_pixels"],
        int(cache_gb * 1e9),
    )
    source = ShardSource(
        {"train": shards, "val": val_shards, "test": test_shards},
        CaptionFormat(caption_file.lower().lstrip("."), caption_per_line, caption_field),
        reading,
        options.get("on_bad_sample", "raise"),
    )
    return CaptionDataModule(source, **options)


def write_fixture(folder: Path) -> dict[str, str]:
    """A few samples in the real format: test data, documentation of the format and smoke run in one.

    Args:
        folder: Where; made if need be.

    Returns:
        Config keys that make the data set read them.
    """
    import io

    from PIL import Image

    from mmdl.data.sources.coloured_squares import coloured_squares
    from mmdl.data.sources.shard_writer import write_shards

    images, labels = coloured_squares(count=48, classes=3, size=40)
    samples = []
    for number, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        file = io.BytesIO()
        Image.fromarray(image.transpose(1, 2, 0)).save(file, "PNG")
        colour = ("red", "green", "blue")[label]
        samples.append({"png": file.getvalue(), "txt": f"square {number} is {colour}".encode()})
    write_shards(folder, samples[:32], 8, "train")
    write_shards(folder, samples[32:40], 8, "val")
    write_shards(folder, samples[40:], 8, "test")
    return {
        "data.shards": f"'{folder}/train-{{000000..000003}}.tar'",
        "data.val_shards": f"{folder}/val-000000.tar",
        "data.test_shards": f"{folder}/test-000000.tar",
        "data.image_size": "32",
        "data.batch_size": "8",
    }
