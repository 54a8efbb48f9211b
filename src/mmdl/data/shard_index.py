"""The index of a split in tar shards: which samples it has; their images and captions stay on disk until read."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterator, Sequence, Set
from typing import IO, Any

import numpy as np

from mmdl.data.readers.shard_captions import BadCaptions, CaptionFormat
from mmdl.data.readers.tar_shard import LOST, IntArray
from mmdl.data.sampler import spread_rows
from mmdl.data.shard_order import windowed_order
from mmdl.data.sources.local_shards import Shards
from mmdl.errors import UserError

SHARDS_FOR_WORDS = 64
"""From so many shards, evenly spread, the captions are taken that a vocabulary is made of."""

REMOTE_SHARDS_FOR_WORDS = 2
"""Fewer where each has to be fetched."""


class LostSample(UserError):
    """A sample whose shard can't be had, or that the shard does not hold.

    Args:
        name: The sample.
        detail: Why.
    """

    reason = LOST

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name} is {LOST}: {detail}", fix="mend the shard, or data.on_bad_sample=skip")


class ShardIndex:
    """`N` samples in shards.

    Args:
        shards: The shards.
        captions: Where the captions of a sample are.
        rows: `(N,)` int64 rising rows of all samples of the shards; None: all.
        window: Shards among which an epoch is shuffled at a time; None: all.
        most_words: A vocabulary is made of the captions of at most so many samples.
        skipped: Samples that were left out, by reason.
        notes: Lines that belong beside the figures of the split.
    """

    def __init__(
        self,
        shards: Shards,
        captions: CaptionFormat,
        rows: IntArray | None = None,
        window: int | None = None,
        most_words: int = 100_000,
        skipped: dict[str, int] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.shards = shards
        self.format = captions
        self._first: IntArray = np.concatenate([[0], np.cumsum(shards.counts)]).astype(np.int64)
        self.rows: IntArray = np.arange(self._first[-1], dtype=np.int64) if rows is None else rows
        self.window = window
        self.most_words = most_words
        self.skipped = dict(skipped or {})
        self.notes = list(notes)
        self.offsets: IntArray = np.searchsorted(self.rows, self._first).astype(np.int64)
        """`(S + 1,)` int64: shard `s` holds the rows `offsets[s]` to `offsets[s + 1] - 1` of the split."""

    def __len__(self) -> int:
        """Number of samples, `N`."""
        return len(self.rows)

    def select(self, rows: IntArray) -> ShardIndex:
        """The index of some samples.

        Args:
            rows: `(n,)` rising rows of this index.
        """
        kept = self.rows[rows]
        return ShardIndex(
            self.shards, self.format, kept, self.window, self.most_words, self.skipped, self.notes
        )

    def order(self, seed: int, epoch: int) -> IntArray:
        """`(N,)` int64: the rows in the order of an epoch; see `windowed_order`."""
        return windowed_order(self.offsets, seed, epoch, self.window)

    def shard_of(self, rows: IntArray) -> IntArray:
        """`(n,)` int64: the shard of each row."""
        return (np.searchsorted(self.offsets, rows, side="right") - 1).astype(np.int64)

    # -- names ------------------------------------------------------------------------------------------------------

    def name(self, row: int) -> str:
        """Shard and key of a sample, for a person; its place where the shard is not here."""
        shard, place = self._place(row)
        try:
            return f"{self.shards.names[shard]}/{self.shards.keys(shard)[place]}"
        except (UserError, IndexError):
            return f"{self.shards.names[shard]}#{place}"

    @property
    def image_ids(self) -> SampleIds:
        """The names of all samples, without holding them in memory."""
        return SampleIds(self)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of names and sizes of all samples and of the rows, in hexadecimal; moved shards keep theirs."""
        digest = hashlib.sha256(repr(self.format).encode())
        for shard, name in enumerate(self.shards.names):
            if self.offsets[shard + 1] > self.offsets[shard]:
                digest.update(f"{name}:{self.shards.digest(shard)}".encode())
        digest.update(self.rows.tobytes())
        return digest.hexdigest()

    def reach(self, rows: IntArray) -> None:
        """Open the shards of some rows one after another, so that threads don't all wait for the same one.

        Raises:
            UserError: A shard can't be fetched.
        """
        for shard in np.unique(self.shard_of(rows)).tolist():
            with contextlib.suppress(FileNotFoundError):  # its samples are lost, and say so one by one
                self.shards.open(shard)

    # -- content ----------------------------------------------------------------------------------------------------

    def image(self, row: int) -> IO[bytes]:
        """The encoded image of a sample, for `load_image`.

        Raises:
            LostSample: Its shard can't be had, or does not hold it.
        """
        shard, place = self._place(row)
        file = io.BytesIO(self._opened(shard, place, row).image(place))
        file.name = self.name(row)
        return file

    def captions_of(self, row: int) -> list[str]:
        """The captions of a sample.

        Raises:
            LostSample: Its shard can't be had, or does not hold it.
            BadCaptions: There is none, or they can't be read.
        """
        shard, place = self._place(row)
        content = self._opened(shard, place, row).captions(place)
        try:
            return self.format.read(content, "")
        except BadCaptions:
            return self.format.read(content, self.name(row))  # a name costs time: only for the message

    @property
    def captions(self) -> Iterator[str]:
        """Captions of at most `most_words` samples from shards that are evenly spread: what a vocabulary is made of."""
        filled = np.flatnonzero(np.diff(self.offsets))
        remote = self.shards.remote
        chosen = filled[spread_rows(len(filled), REMOTE_SHARDS_FOR_WORDS if remote else SHARDS_FOR_WORDS)]
        left = self.most_words
        for number, shard in enumerate(chosen.tolist()):
            first, last = int(self.offsets[shard]), int(self.offsets[shard + 1])
            share = min(last - first, left if remote else -(-left // (len(chosen) - number)))
            left -= share
            for row in range(first, first + share):
                try:
                    yield from self.captions_of(row)
                except (BadCaptions, LostSample):
                    continue

    def _place(self, row: int) -> tuple[int, int]:
        sample = int(self.rows[row])
        shard = int(np.searchsorted(self._first, sample, side="right")) - 1
        return shard, sample - int(self._first[shard])

    def _opened(self, shard: int, place: int, row: int) -> Any:
        try:
            opened = self.shards.open(shard)
        except FileNotFoundError as error:
            raise LostSample(f"{self.shards.names[shard]}#{place}", str(error)) from None
        if place >= len(opened):
            raise LostSample(
                f"{self.shards.names[shard]}#{place}", f"the shard holds {len(opened):,} usable samples"
            )
        return opened


class SampleIds(Set[str]):
    """The ids of the samples of an index as a set that is made when it is walked.

    Args:
        index: The samples.
    """

    def __init__(self, index: ShardIndex) -> None:
        self.index = index
        self._shards = {name: shard for shard, name in enumerate(index.shards.names)}
        self._known: dict[int, frozenset[str]] = {}

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, row: int) -> str:
        return self.index.name(row)

    def __iter__(self) -> Iterator[str]:
        return (self.index.name(row) for row in range(len(self.index)))

    def __contains__(self, name: object) -> bool:
        shard = self._shards.get(str(name).partition("/")[0])
        if shard is None:
            return False
        if shard not in self._known:
            first, last = int(self.index.offsets[shard]), int(self.index.offsets[shard + 1])
            self._known[shard] = frozenset(self.index.name(row) for row in range(first, last))
        return name in self._known[shard]

    @classmethod
    def _from_iterable(cls, it: Any) -> Any:
        return frozenset(it)
