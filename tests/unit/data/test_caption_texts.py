"""Captions as token ids, and the exact number of those that were cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mmdl.data import caption_texts as module
from mmdl.data.caption_texts import caption_texts
from mmdl.data.tokenizer.word import WordTokenizer

CAPTIONS = ["a b c", "a b c d", "a", "a b c d", "a b c d e f g", "a b c"]


@pytest.fixture
def tokenizer() -> WordTokenizer:
    made = WordTokenizer(max_length=3)
    made.fit(CAPTIONS)
    return made


def test_each_distinct_text_once_and_every_cut_caption_counted(tokenizer: WordTokenizer) -> None:
    texts = caption_texts(tokenizer, CAPTIONS)
    assert texts.text_of.tolist() == [0, 1, 2, 1, 3, 0]
    assert texts.ids.shape == texts.mask.shape == (4, 3)
    assert texts.ids.dtype == torch.int32
    ids, mask = tokenizer(CAPTIONS)
    assert torch.equal(texts.ids[texts.text_of].long(), ids)
    assert torch.equal(texts.mask[texts.text_of], mask)
    assert texts.truncated == 3


def test_many_texts_are_kept_on_disk(tokenizer: WordTokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = caption_texts(tokenizer, CAPTIONS)
    monkeypatch.setattr(module, "REMEMBER_FROM", 2)
    monkeypatch.setattr(module, "_CHUNK", 3)
    first = caption_texts(tokenizer, CAPTIONS)
    with monkeypatch.context() as patch:

        def fails(*arguments: Any) -> Any:
            raise AssertionError("tokenized again")

        patch.setattr(WordTokenizer, "__call__", fails)
        second = caption_texts(tokenizer, CAPTIONS)
    for texts in (first, second):
        assert torch.equal(texts.ids, plain.ids)
        assert torch.equal(texts.mask, plain.mask)
        assert np.array_equal(texts.text_of, plain.text_of)
        assert texts.truncated == plain.truncated == 3
    other = WordTokenizer(max_length=4)
    other.fit(CAPTIONS)
    assert caption_texts(other, CAPTIONS).truncated == 1, "another tokenizer, another entry"
