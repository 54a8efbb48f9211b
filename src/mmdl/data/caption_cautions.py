"""What may surprise in captions, as lines for the start of a run: cut ones, equal images, falsified sides."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence

from mmdl.data.caption_index import CaptionIndex
from mmdl.data.shard_index import ShardIndex
from mmdl.data.vqa_dataset import Tokenizer

LOOKED_AT = 2_000
"""Captions of a stream that are looked at."""

_SIDE = re.compile(r"\b(left|right)\b", re.IGNORECASE)


def caption_cautions(
    indexes: Mapping[str, CaptionIndex],
    truncated: Mapping[str, int],
    length: int,
    duplicates: Sequence[str],
    flipped: bool,
) -> list[str]:
    """How many captions are cut, images are equal, entries were joined, and captions an augmentation falsifies.

    Args:
        indexes: Split -> its index.
        truncated: Split -> captions that are longer than `length`.
        length: Tokens that a caption is padded or cut to.
        duplicates: What is there twice.
        flipped: Images are mirrored in training.
    """
    lines = [f"split        {note}" for index in indexes.values() for note in index.notes]
    lines = list(dict.fromkeys(lines))
    if any(truncated.values()):
        counts = ", ".join(
            f"{count:,} of {len(indexes[split].captions):,} in {split}" for split, count in truncated.items()
        )
        lines.append(f"truncated    captions longer than {length} tokens: {counts}")
    lines += [f"{'duplicates':12} {note}" for note in duplicates]
    if flipped and "train" in indexes:
        lines += _mirrored(indexes["train"].captions)
    return lines


def streamed_cautions(split: str, index: ShardIndex, tokenizer: Tokenizer, flipped: bool) -> list[str]:
    """The same of captions that are read while training, from a look at some of them.

    Args:
        split: Its name.
        index: Its samples.
        tokenizer: Fitted.
        flipped: Images are mirrored in training.
    """
    captions = list(itertools.islice(index.captions, LOOKED_AT))
    lines = [f"split        {note}" for note in index.notes]
    cut = int(tokenizer.truncated(captions).sum()) if captions else 0
    if cut:
        length = tokenizer(captions[:1])[0].shape[1]
        lines.append(
            f"truncated    captions longer than {length} tokens: {cut:,} of {len(captions):,} looked at in {split}"
        )
    return lines + (_mirrored(captions) if flipped else [])


def _mirrored(captions: Sequence[str]) -> list[str]:
    sides = sum(1 for text in captions if _SIDE.search(text))
    if not sides:
        return []
    return [
        f"mirrored     data.augment.flip: {sides:,} of {len(captions):,} train captions say left or right"
    ]


def twice(split: str, index: CaptionIndex, equal: int) -> list[str]:
    """Lines on what is there twice in a split.

    Args:
        split: Its name.
        index: Of it.
        equal: Images with the bytes of another one.
    """
    lines = []
    if index.joined:
        lines.append(f"{index.joined:,} {split} entries are there twice, and were joined")
    if equal:
        lines.append(f"{equal:,} {split} images have the bytes of another one, and count as the same picture")
    return lines


def cut(split: str, index: CaptionIndex, truncated: int, length: int) -> list[str]:
    """The line on captions whose ends were cut, if there are any.

    Args:
        split: Its name.
        index: Of it.
        truncated: How many.
        length: Tokens that are left.
    """
    if not truncated:
        return []
    return [
        f"{truncated:,} of {len(index.captions):,} {split} captions are longer than {length} tokens: their ends were "
        "cut (data.tokenizer.max_length)"
    ]


def left_out(skipped: Mapping[str, int]) -> list[str]:
    """The line on samples that were left out, if there are any.

    Args:
        skipped: How many, by reason.
    """
    counts = ", ".join(f"{count:,} {reason}" for reason, count in sorted(skipped.items()))
    return [f"left out of all splits (data.on_bad_sample=skip): {counts}"] if counts else []
