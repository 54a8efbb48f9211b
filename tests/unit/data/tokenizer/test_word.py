from __future__ import annotations

import pytest

from mmdl.data.tokenizer.word import WordTokenizer, split_words
from mmdl.errors import UserError

TEXTS = ["Is the circle red?", "How many circles?", "What's left of the red cube?"]


def _fitted(**options: int) -> WordTokenizer:
    tokenizer = WordTokenizer(**options)
    tokenizer.fit(TEXTS)
    return tokenizer


def test_words_are_lower_cased_and_punctuation_is_split():
    assert split_words("Is it RED,or blue?!") == ["is", "it", "red", ",", "or", "blue", "?", "!"]
    assert split_words("  café's  n° 10 ") == ["café's", "n", "°", "10"]


def test_ids_pad_right_and_unknown_words_are_one():
    tokenizer = _fitted(max_length=6)
    ids, mask = tokenizer(["red zebra", "", "is the circle red ? ? ? ?"])
    assert ids.shape == mask.shape == (3, 6)
    assert ids[0, 1:].tolist() == [1, 0, 0, 0, 0]
    assert mask.sum(1).tolist() == [2, 0, 6]
    assert ids.max() < tokenizer.vocab_size == 2 + 12


def test_no_texts():
    ids, mask = _fitted(max_length=6)([])
    assert ids.shape == mask.shape == (0, 6)


def test_rare_words_are_unknown():
    tokenizer = _fitted(min_count=2)
    assert tokenizer.state_dict()["words"] == ["?", "red", "the"]


def test_order_of_texts_is_moot_and_state_restores_the_ids():
    one, other = WordTokenizer(), WordTokenizer()
    one.fit(TEXTS)
    other.fit(reversed(TEXTS))
    assert one.fingerprint() == other.fingerprint()
    restored = WordTokenizer(max_length=3)
    restored.load_state_dict(one.state_dict())
    assert restored.fingerprint() == one.fingerprint()
    assert restored(TEXTS)[0].tolist() == one(TEXTS)[0].tolist()


def test_the_fingerprint_knows_length_and_words():
    prints = {
        _fitted().fingerprint(),
        _fitted(max_length=5).fingerprint(),
        _fitted(min_count=2).fingerprint(),
    }
    assert len(prints) == 3
    assert WordTokenizer().fingerprint() not in prints


def test_senseless_settings_are_refused():
    with pytest.raises(UserError, match="max_length=0"):
        WordTokenizer(max_length=0)


def test_what_is_longer_than_the_context_is_known():
    tokenizer = WordTokenizer(max_length=4)
    assert tokenizer.truncated(["Is it red?", "is it red now?", "", "a, b"]).tolist() == [
        False,
        True,
        False,
        False,
    ]
    assert tokenizer.truncated([]).tolist() == []
