"""Any image-classification set of the Hugging Face hub, or local files in its formats, through the library `datasets`.

    data.path=uoft-cs/cifar10                                         a set of the hub, downloaded once
    data.path=imagenet-1k data.streaming=true data.limit=100000       read once into decoded pixels, no files kept
    data.path=parquet 'data.data_files={train: a.parquet, test: b.parquet}'

Code that comes with a set is never run. A stream is read once, before training; after that, order, resuming and
several processes are as exact as with any other data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from mmdl.data.bad_images import BadSamples, some
from mmdl.data.holdout import hold_out_test
from mmdl.data.image_split import ImageSplit
from mmdl.data.images import ImageDataModule, ImageDataOptions
from mmdl.data.sources.hub_columns import HubColumns, class_labels, class_names, find_columns
from mmdl.data.sources.hub_images import HubImages
from mmdl.data.sources.hub_loading import DataFiles, HubPlace, mapped_splits, open_hub
from mmdl.data.sources.hub_stream import StreamedSplit, StreamOptions, read_streams
from mmdl.errors import UserError


class HubSource:
    """A set, downloaded or streamed.

    Args:
        place: What is opened.
        options: How it is read; `size`, `resize` and `shuffle_buffer` concern streams only.
        streaming: Read the stream into decoded pixels, and keep no files.
        test_share: Share that is the test split, where the set has none.
    """

    def __init__(
        self, place: HubPlace, options: StreamOptions, streaming: bool = False, test_share: float = 0.2
    ) -> None:
        self.place = place
        self.options = options
        self.streaming = streaming
        self.test_share = test_share
        self._columns: HubColumns | None = None
        self._streams: dict[str, StreamedSplit] = {}
        self._sets: dict[str, Any] = {}
        self._splits: dict[str, ImageSplit] = {}

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
        self._columns = find_columns(features, self.options.image_column, self.options.label_column)

    def split(self, name: str) -> ImageSplit | None:
        """`train`, `val` or `test`; without a split of its own, the test images are held out of train.

        Raises:
            UserError: a split has no references, or has other classes.
        """
        if not self._splits:
            self.prepare()
            present = [
                split for split in ("train", "val", "test") if split in self._sets or split in self._streams
            ]
            self._splits = {split: self._whole(split) for split in present}
            if "test" not in self._splits:
                self._splits |= hold_out_test(self._splits["train"], self.test_share)
        return self._splits.get(name)

    def _whole(self, split: str) -> ImageSplit:
        assert self._columns is not None
        values = self._values(split)
        classes = class_names(self._values("train"), self._columns)
        labels = class_labels(values, self._columns, classes)
        if not (labels >= 0).any():
            raise UserError(
                f"the split {split!r} of {self.place.path} has no references",
                valid="a split with classes",
                fix="data.splits={train: train, test: validation}, if the set has such a split",
            )
        if self.streaming:
            found = self._streams[split]
            ids = [f"{split}/{row}" for row in found.rows]
            whole = ImageSplit(
                ids, labels, classes, decoded=found.pixels, content=found.content, bad=found.bad
            )
        else:
            files = HubImages(self._sets[split], self._columns.image, split)
            files = files.select(np.arange(len(labels), dtype=np.int64))
            whole = ImageSplit([f"{split}/{row}" for row in range(len(labels))], labels, classes, files=files)
        return _with_references(whole, values, self._missing(labels, classes, split))

    def _values(self, split: str) -> list[Any]:
        assert self._columns is not None
        if self.streaming:
            return self._streams[split].values
        return list(self._sets[split][self._columns.label])[: self.options.limit]

    def _missing(self, labels: np.ndarray[Any, Any], classes: Sequence[str], split: str) -> tuple[str, ...]:
        """The note on classes without images, as a stream that is sorted by class leaves them under a limit."""
        absent = [name for label, name in enumerate(classes) if not (labels == label).any()]
        if not absent:
            return ()
        why = "; data.shuffle_buffer=10000 mixes a stream that is sorted" if self.streaming else ""
        return (f"{split} has no images of {len(absent):,} classes ({some(absent)}){why}",)


def _with_references(whole: ImageSplit, values: Sequence[Any], notes: tuple[str, ...]) -> ImageSplit:
    """The split without images that have no class."""
    rows = np.flatnonzero(whole.labels >= 0).astype(np.int64)
    bad = [
        BadSamples("no class", f"{whole.ids[row]} has no class of the set: {values[row]!r}")
        for row in np.flatnonzero(whole.labels < 0).tolist()
    ]
    kept = whole.select(rows) if bad else whole
    kept.bad, kept.notes = whole.bad + bad, notes
    return kept


def hub(
    path: str,
    name: str | None = None,
    revision: str | None = None,
    data_dir: str | None = None,
    data_files: DataFiles | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    splits: Mapping[str, str | None] | None = None,
    test_share: float = 0.2,
    streaming: bool = False,
    limit: int | None = None,
    shuffle_buffer: int = 0,
    **options: Unpack[ImageDataOptions],
) -> ImageDataModule:
    """The data module of a set of the Hugging Face hub.

    Args:
        path: As for `HubPlace`.
        name: As for `HubPlace`.
        revision: As for `HubPlace`.
        data_dir: As for `HubPlace`.
        data_files: As for `HubPlace`.
        image_column: As for `StreamOptions`.
        label_column: As for `StreamOptions`.
        splits: As for `StreamOptions`.
        test_share: As for `HubSource`.
        streaming: As for `HubSource`.
        limit: As for `StreamOptions`.
        shuffle_buffer: As for `StreamOptions`.
        **options: As for `ImageDataModule`.

    Raises:
        UserError: a stream is to keep the images' own sizes.
    """
    size = options.get("image_size")
    if streaming and size is None:
        raise UserError(
            "data.streaming=true decodes while it reads, and data.image_size=null",
            valid="pixels",
            fix="data.image_size=64",
        )
    place = HubPlace(path, name, revision, data_dir, data_files)
    reading = StreamOptions(
        image_column,
        label_column,
        splits,
        limit,
        shuffle_buffer,
        size or 0,
        options.get("resize", "squash"),
    )
    return ImageDataModule(HubSource(place, reading, streaming, test_share), **options)


def write_fixture(folder: Path) -> dict[str, str]:
    """Drawn images of three classes in two Parquet files.

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
    classes = ["red", "green", "blue"]
    images, labels = coloured_squares(count=90, classes=len(classes), size=40)
    encoded = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image.transpose(1, 2, 0)).save(file, "PNG")
        encoded.append({"bytes": file.getvalue(), "path": None})
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=classes)})
    for name, rows in (("train", slice(0, 60)), ("test", slice(60, 90))):
        columns = {"image": encoded[rows], "label": labels[rows].tolist()}
        datasets.Dataset.from_dict(columns, features=features).to_parquet(folder / f"{name}.parquet")
    files = f"{{train: {folder}/train.parquet, test: {folder}/test.parquet}}"
    return {"data.path": "parquet", "data.data_files": files, "data.image_size": "32"}
