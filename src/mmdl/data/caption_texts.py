"""The captions of a split as token ids, each distinct text once, and which of them were cut."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmdl.data.cache import cache_key, cached_folder
from mmdl.data.disk import require_free
from mmdl.data.sampler import IntArray
from mmdl.data.vqa_dataset import Tokenizer
from mmdl.progress_bar import ProgressBar

REMEMBER_FROM = 50_000
"""From so many texts on the ids are kept on disk: a byte-pair tokenizer takes a minute for those of COCO."""

_CHUNK = 4096


class CaptionTexts(NamedTuple):
    """Token ids of `T` captions, of which `U` are distinct.

    Attributes:
        ids: `(U, L)` int32 token ids.
        mask: `(U, L)` bool, True at real tokens.
        text_of: `(T,)` int64: which of the texts each caption is.
        truncated: Captions that are longer than `L` tokens, all `T` looked at.
    """

    ids: Tensor
    mask: Tensor
    text_of: IntArray
    truncated: int


def caption_texts(tokenizer: Tokenizer, captions: Sequence[str], description: str = "") -> CaptionTexts:
    """Tokenize captions.

    Args:
        tokenizer: Fitted.
        captions: `T` texts.
        description: For the progress bar.
    """
    place = {text: row for row, text in enumerate(dict.fromkeys(captions))}
    text_of = np.fromiter((place[text] for text in captions), np.int64, len(captions))
    texts = list(place)
    if len(texts) < REMEMBER_FROM:
        ids, mask, cut = _tokenized(tokenizer, texts, description)
        return CaptionTexts(ids, mask, text_of, int(cut.numpy()[text_of].sum()))
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{len(text)}:{text}".encode())
    key = cache_key({"v": 1, "tokenizer": tokenizer.fingerprint(), "texts": digest.hexdigest()})

    def build(folder: Path) -> dict[str, Any]:
        found = _tokenized(tokenizer, texts, description)
        require_free(folder, sum(tensor.nbytes for tensor in found), "the token ids")
        for name, tensor in zip(("ids", "mask", "cut"), found, strict=True):
            np.save(folder / f"{name}.npy", tensor.numpy())
        return {}

    folder, _ = cached_folder("tokens", key, build)
    ids, mask, cut = (torch.from_numpy(np.load(folder / f"{name}.npy")) for name in ("ids", "mask", "cut"))
    return CaptionTexts(ids, mask, text_of, int(cut.numpy()[text_of].sum()))


def _tokenized(tokenizer: Tokenizer, texts: Sequence[str], description: str) -> tuple[Tensor, Tensor, Tensor]:
    """`(U, L)` int32 ids, `(U, L)` bool mask, `(U,)` bool: longer than `L`."""
    parts = []
    starts = range(0, len(texts), _CHUNK)
    for start in ProgressBar(starts, description or "tokenizing", unit_scale=_CHUNK, delay=2):
        some = texts[start : start + _CHUNK]
        ids, mask = tokenizer(some)
        parts.append((ids.int(), mask, tokenizer.truncated(some)))
    ids, mask, cut = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    return ids, mask, cut
