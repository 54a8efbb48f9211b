"""Reads a stream of images once, straight into memory-mapped pixels: the files themselves never reach the disk."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mmdl.data.bad_images import BadSamples
from mmdl.data.cache import Resize, cache_key, cached_folder
from mmdl.data.disk import require_free
from mmdl.data.image_dataset import MappedPixels
from mmdl.data.sources.hub_columns import HubColumns, find_caption_columns, find_columns
from mmdl.data.sources.hub_images import content_key, encoded_image
from mmdl.data.sources.hub_loading import HubPlace, mapped_splits, open_hub
from mmdl.data.transforms.image import BadImage, load_image
from mmdl.errors import UserError
from mmdl.progress_bar import ProgressBar

_PART = 256  # images that are decoded at once
_VERSION = 1


@dataclass(frozen=True)
class StreamedSplit:
    """One split as it was read.

    Attributes:
        pixels: `(N, 3, H, W)` uint8, memory-mapped, in the order of the stream.
        values: `N` values of the label column.
        rows: `N` positions in the stream.
        content: SHA-256 of the pixels.
        bad: Images that could not be decoded.
        keys: `N` hashes of the encoded images, by which equal ones are known; none of a set with classes.
    """

    pixels: MappedPixels
    values: list[Any]
    rows: list[int]
    content: str
    bad: list[BadSamples]
    keys: list[str]


@dataclass(frozen=True)
class StreamOptions:
    """What a copy of a stream depends on, beside its place.

    Attributes:
        image_column: Column of the images; None finds it.
        label_column: Column of the classes or captions; None finds it.
        splits: Split -> its name; None finds them.
        limit: Read so many samples of each split at most.
        shuffle_buffer: Samples among which the stream is shuffled while it is read; 0 leaves its order.
        size: Height and width in pixels.
        resize: `squash`, `crop` or `pad`.
        captions: The images have captions, and no classes.
    """

    image_column: str | None
    label_column: str | None
    splits: Mapping[str, str | None] | None
    limit: int | None
    shuffle_buffer: int
    size: int
    resize: Resize
    captions: bool = False


def read_streams(place: HubPlace, options: StreamOptions) -> tuple[HubColumns, dict[str, StreamedSplit]]:
    """The columns, and every split of a set, from the cache where they were read before: that needs no network.

    Args:
        place: What is streamed. A branch is read as it is at the first time; name a commit to say which.
        options: How it is read.

    Raises:
        UserError: it can't be reached, the disk is too full, or the stream breaks off.
    """
    chosen = asdict(options) | {"splits": dict(options.splits) if options.splits is not None else None}
    if not options.captions:
        del chosen["captions"]  # as before there were any: what was read stays in use
    key = cache_key({"v": _VERSION, "place": place.identity(), "options": chosen})

    def build(folder: Path) -> dict[str, Any]:
        streams = open_hub(place, streaming=True)
        names = mapped_splits(list(streams), options.splits)
        train = streams[names["train"]]
        find = find_caption_columns if options.captions else find_columns
        columns = find(
            train.features or train._resolve_features().features, options.image_column, options.label_column
        )
        splits = {
            split: _read(folder / f"{split}.bin", streams[name], name, columns, options)
            for split, name in names.items()
        }
        return {"columns": asdict(columns), "splits": splits}

    folder, facts = cached_folder("stream", key, build)
    known = facts["columns"]
    classes = tuple(known["classes"]) if known["classes"] is not None else None
    splits = {
        name: _loaded(folder / f"{name}.bin", found, options.size) for name, found in facts["splits"].items()
    }
    return HubColumns(known["image"], known["label"], classes), splits


def _loaded(path: Path, found: dict[str, Any], size: int) -> StreamedSplit:
    array = np.memmap(path, dtype=np.uint8, mode="r", shape=(len(found["rows"]), 3, size, size))
    bad = [BadSamples(reason, message) for reason, message in found["bad"]]
    return StreamedSplit(
        MappedPixels(array), found["values"], found["rows"], found["content"], bad, found.get("keys", [])
    )


def _read(path: Path, stream: Any, name: str, columns: HubColumns, options: StreamOptions) -> dict[str, Any]:
    """Write the pixels of one split, and say what was read."""
    import datasets

    expected = (stream.info.splits or {}).get(name)
    total = expected.num_examples if expected is not None and expected.num_examples else None
    if options.limit is not None:
        total = min(options.limit, total or options.limit)
    if total is not None:
        require_free(path.parent, total * 3 * options.size**2, f"the pixels of {name}")
    stream = stream.cast_column(columns.image, datasets.Image(decode=False))
    if options.shuffle_buffer:
        stream = stream.shuffle(seed=0, buffer_size=options.shuffle_buffer)
    stream = stream if options.limit is None else stream.take(options.limit)

    def decode(numbered: tuple[int, dict[str, Any]]) -> Tensor | BadImage:
        row, sample = numbered
        try:
            source = encoded_image(sample[columns.image], f"{name}/{row}")
            return load_image(source, options.size, options.resize)
        except BadImage as error:
            return error

    found: dict[str, Any] = {"values": [], "rows": [], "bad": [], "keys": []}
    digest = hashlib.sha256()
    try:
        with (
            path.open("wb") as file,
            ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool,
            ProgressBar(total=total, desc=f"reading {name}", unit="image") as bar,
        ):
            for part in _parts(enumerate(stream)):
                for (row, sample), image in zip(part, pool.map(decode, part), strict=True):
                    if isinstance(image, BadImage):
                        found["bad"].append((image.reason, image.given))
                        continue
                    content = image.numpy().tobytes()
                    file.write(content)
                    digest.update(content)
                    found["rows"].append(row)
                    found["values"].append(sample[columns.label])
                    if options.captions:
                        found["keys"].append(content_key(sample[columns.image]))
                bar.update(len(part))
    except OSError as error:
        raise _broken(error, name, len(found["rows"])) from None
    if not found["rows"]:
        raise UserError(f"the split {name!r} gave no image that can be used", valid="a stream of images")
    return found | {"content": digest.hexdigest()}


def _parts(samples: Iterable[tuple[int, dict[str, Any]]]) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    iterator = iter(samples)
    while part := list(itertools.islice(iterator, _PART)):
        yield part


def _broken(error: OSError, name: str, count: int) -> UserError:
    """The error for a stream that ended early; all errors of a connection are an `OSError`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(
            f"the disk is full after {count:,} images of {name!r}", fix="free some space, or data.limit=1000"
        )
    return UserError(
        f"the stream of {name!r} broke off after {count:,} images: {error}",
        fix="run it again: it starts anew; data.streaming=false continues a download where it stopped",
    )
