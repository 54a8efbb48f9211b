"""Any set of images with captions of the Hugging Face hub, or local files in its formats.

    data.path=nlphuji/flickr30k data.splits='{train: test}'          a set of the hub, downloaded once
    data.path=OWNER/NAME data.streaming=true data.limit=100000       read once into decoded pixels, no files kept
    data.path=parquet 'data.data_files={train: a.parquet, test: b.parquet}'

The caption column holds a text or a list of texts. Rows whose images are equal byte for byte are one image with the
captions of all. Code that comes with a set is never run. A stream is read once, before training; after that, order,
resuming and several processes are as exact as with any other data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import numpy as np

from mmdl.data.bad_images import BadSamples as BadImages
from mmdl.data.bad_images import count_by_reason, listed
from mmdl.data.caption_index import CaptionIndex
from mmdl.data.captions import CaptionDataModule, CaptionDataOptions, OnBadSample
from mmdl.data.holdout import TEST_SEED
from mmdl.data.pixels import ChosenPixels
from mmdl.data.readers.bad_samples import BadSamples, Problem, type_name
from mmdl.data.readers.collected_captions import CollectedCaptions
from mmdl.data.sources.hub_columns import HubColumns, find_caption_columns
from mmdl.data.sources.hub_images import HubImages
from mmdl.data.sources.hub_loading import DataFiles, HubPlace, mapped_splits, open_hub
from mmdl.data.sources.hub_stream import StreamedSplit, StreamOptions, read_streams
from mmdl.errors import UserError


class Shares(NamedTuple):
    """What is held out where the set has no split of its own.

    Attributes:
        test: Share of the images that is the test split; always the same ones.
        val: Share of the training images that is the validation split.
        seed: Which of them.
    """

    test: float
    val: float
    seed: int


class HubCaptionSource:
    """A set, downloaded or streamed.

    Args:
        place: What is opened.
        options: How it is read.
        streaming: Read the stream into decoded pixels, and keep no files.
        shares: What is held out.
        on_bad_sample: As in the readers.
    """

    def __init__(
        self,
        place: HubPlace,
        options: StreamOptions,
        streaming: bool,
        shares: Shares,
        on_bad_sample: OnBadSample = "raise",
    ) -> None:
        for key, share in (("test_share", shares.test), ("val_share", shares.val)):
            if not 0 < share < 1:
                raise UserError(f"data.{key}={share}", valid="a share between 0 and 1")
        if options.limit is not None and options.limit < 1:
            raise UserError(f"data.limit={options.limit}", valid="1 or more, or null: all")
        self.place = place
        self.options = options
        self.streaming = streaming
        self.shares = shares
        self.on_bad_sample: OnBadSample = on_bad_sample
        self._columns: HubColumns | None = None
        self._streams: dict[str, StreamedSplit] = {}
        self._sets: dict[str, Any] = {}
        self._indexes: dict[str, CaptionIndex] = {}

    def prepare(self) -> None:
        """Download the files, or read the stream.

        Raises:
            UserError: the set can't be had, or its columns are not known.
        """
        if self._columns is not None:
            return
        if self.streaming:
            self._columns, self._streams = read_streams(self.place, self.options)
            return
        sets = open_hub(self.place, streaming=False)
        names = mapped_splits(list(sets), self.options.splits)
        self._sets = {split: sets[name] for split, name in names.items()}
        features = self._sets["train"].features
        self._columns = find_caption_columns(features, self.options.image_column, self.options.label_column)

    def index(self, split: str) -> CaptionIndex | None:
        """`train`, `val` or `test`; what the set has no split for is held out of train.

        Raises:
            UserError: It holds bad samples, or too few images to hold some out.
        """
        self.prepare()
        own = self._sets or self._streams
        if split in own and split != "train":
            return self._whole(split)
        if not self._indexes:
            self._indexes = self._train_with_held_out({"val", "test"} - set(own))
        return self._indexes.get(split)

    def _train_with_held_out(self, absent: set[str]) -> dict[str, CaptionIndex]:
        found = {"train": self._whole("train")}
        whole = len(found["train"])
        for split, share, seed in (
            ("test", self.shares.test, TEST_SEED),
            ("val", self.shares.val, self.shares.seed),
        ):
            if split in absent:
                count = max(1, round(share * len(found["train"])))
                parts = found["train"].hold_out(count, seed)
                found |= {"train": parts["train"], split: parts["val"]}
                note = (
                    f"the set has no {split} split: {count:,} of its {whole:,} training images were held out"
                )
                found[split].notes = [note]
        return found

    def _whole(self, split: str) -> CaptionIndex:
        """All images of a split of the set, equal ones joined."""
        assert self._columns is not None
        keys, values, files, stream = self._rows(split, self._columns)
        bad = BadSamples(Path(f"{self.place.path}: {split}"), self.on_bad_sample)
        collected = CollectedCaptions(bad)
        first: dict[str, int] = {}
        for row, (key, value) in enumerate(zip(keys, values, strict=True)):
            where = f"row {stream.rows[row] if stream else row}"
            first.setdefault(key, row)
            collected.add_image(where, key, key, joins=True)
            if value is not None and not isinstance(value, str | list):
                detail = f"{self._columns.label!r} is {type_name(value)}, expected a text or a list of texts"
                collected.refuse(where, key, Problem("wrong type", detail))
                continue
            for caption in [value] if isinstance(value, str) else value or ():
                collected.add_caption(where, key, {"caption": caption})
        joined = collected.finish(len(values), "", check_images=False)
        rows = np.array([first[str(key)] for key in joined.image_ids], dtype=np.int64)
        places = [stream.rows[row] if stream else row for row in rows.tolist()]
        return CaptionIndex(
            [f"{split}/{place}" for place in places],
            [""] * len(rows),
            [
                joined.captions[start:end]
                for start, end in zip(joined.offsets, joined.offsets[1:], strict=False)
            ],
            skipped=joined.skipped | (self._undecodable(stream.bad) if stream else {}),
            joined=joined.joined,
            files=files.select(rows) if files else None,
            decoded=ChosenPixels(stream.pixels, rows, stream.content) if stream else None,
        )

    def _rows(
        self, split: str, columns: HubColumns
    ) -> tuple[Sequence[str], Sequence[Any], HubImages | None, StreamedSplit | None]:
        """Hashes of the images and their captions, with where the images are."""
        if self.streaming:
            stream = self._streams[split]
            return stream.keys, stream.values, None, stream
        values = list(self._sets[split][columns.label])[: self.options.limit]
        files = HubImages(self._sets[split], columns.image, split)
        files = files.select(np.arange(len(values), dtype=np.int64))
        return files.keys(f"comparing {split} images"), values, files, None

    def _undecodable(self, bad: Sequence[BadImages]) -> dict[str, int]:
        """Counts of the images that a stream could not decode.

        Raises:
            UserErrors: There are some, and they are not to be left out.
        """
        if bad and self.on_bad_sample == "raise":
            raise listed(bad)
        return count_by_reason(bad)


def hub_captions(
    path: str,
    name: str | None = None,
    revision: str | None = None,
    data_dir: str | None = None,
    data_files: DataFiles | None = None,
    image_column: str | None = None,
    caption_column: str | None = None,
    splits: Mapping[str, str | None] | None = None,
    test_share: float = 0.1,
    val_share: float = 0.1,
    split_seed: int = 0,
    streaming: bool = False,
    limit: int | None = None,
    shuffle_buffer: int = 0,
    **options: Unpack[CaptionDataOptions],
) -> CaptionDataModule:
    """The data module of a set of the Hugging Face hub with captions.

    Args:
        path: As for `HubPlace`.
        name: As for `HubPlace`.
        revision: As for `HubPlace`.
        data_dir: As for `HubPlace`.
        data_files: As for `HubPlace`.
        image_column: Column of the images; None finds it.
        caption_column: Column of the captions, a text or a list of texts; None finds it.
        splits: As for `StreamOptions`.
        test_share: As for `Shares`.
        val_share: As for `Shares`.
        split_seed: As for `Shares`.
        streaming: As for `HubCaptionSource`.
        limit: As for `StreamOptions`.
        shuffle_buffer: As for `StreamOptions`.
        **options: As for `CaptionDataModule`.
    """
    place = HubPlace(path, name, revision, data_dir, data_files)
    reading = StreamOptions(
        image_column,
        caption_column,
        splits,
        limit,
        shuffle_buffer,
        options.get("image_size", 64),
        options.get("resize", "squash"),
        captions=True,
    )
    shares = Shares(test_share, val_share, split_seed)
    bad = options.get("on_bad_sample", "raise")
    return CaptionDataModule(HubCaptionSource(place, reading, streaming, shares, bad), **options)


def write_fixture(folder: Path) -> dict[str, str]:
    """Drawn images of three colours in two Parquet files, with two captions each.

    Args:
        folder: Where; made if need be.

    Returns:
        Config keys that make the data set read them.
    """
    import io

    import datasets
    from PIL import Image

    from mmdl.data.sources.coloured_squares import coloured_squares

    folder.mkdir(parents=True, exist_ok=True)
    names = ["red", "green", "blue"]
    images, labels = coloured_squares(count=45, classes=len(names), size=40)
    columns: dict[str, list[Any]] = {"image": [], "captions": []}
    for number, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        file = io.BytesIO()
        Image.fromarray(image.transpose(1, 2, 0)).save(file, "PNG")
        columns["image"].append({"bytes": file.getvalue(), "path": None})
        columns["captions"].append([f"A {names[label]} square.", f"Number {number} is {names[label]}."])
    texts = datasets.List(datasets.Value("string"))
    features = datasets.Features({"image": datasets.Image(), "captions": texts})
    for name, rows in (("train", slice(0, 30)), ("test", slice(30, 45))):
        part = {column: values[rows] for column, values in columns.items()}
        datasets.Dataset.from_dict(part, features=features).to_parquet(folder / f"{name}.parquet")
    files = f"{{train: {folder}/train.parquet, test: {folder}/test.parquet}}"
    return {"data.path": "parquet", "data.data_files": files, "data.image_size": "32"}
