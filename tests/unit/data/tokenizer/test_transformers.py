from __future__ import annotations

from pathlib import Path

import pytest
from transformers import BertTokenizer

from mmdl.data.tokenizer.transformers import TransformersTokenizer
from mmdl.errors import UserError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "is", "it", "red", "?"]


def _folder(tmp_path: Path, words: list[str] = WORDS) -> str:
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    BertTokenizer(vocab={word: i for i, word in enumerate(words)}).save_pretrained(tmp_path / "saved")
    return str(tmp_path / "saved")


def test_ids_and_mask_of_a_local_folder(tmp_path):
    tokenizer = TransformersTokenizer(_folder(tmp_path), max_length=8)
    ids, mask = tokenizer(["Is it red?", "zebra"])
    assert ids.tolist() == [[2, 5, 6, 7, 8, 3, 0, 0], [2, 1, 3, 0, 0, 0, 0, 0]]
    assert mask.sum(1).tolist() == [6, 3]
    assert tokenizer.vocab_size == len(WORDS)


def test_long_texts_are_cut_to_the_length(tmp_path):
    ids, mask = TransformersTokenizer(_folder(tmp_path), max_length=4)(["is it red is it red"])
    assert ids.tolist() == [[2, 5, 6, 3]]
    assert mask.all()


def test_no_texts(tmp_path):
    assert TransformersTokenizer(_folder(tmp_path), max_length=4)([])[0].shape == (0, 4)


def test_the_fingerprint_knows_the_vocabulary_not_the_path(tmp_path):
    one = TransformersTokenizer(_folder(tmp_path / "one"))
    same = TransformersTokenizer(_folder(tmp_path / "two"))
    other = TransformersTokenizer(_folder(tmp_path / "three", [*WORDS, "blue"]))
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()
    same.load_state_dict(one.state_dict())
    with pytest.raises(UserError, match="is not the one of the checkpoint"):
        other.load_state_dict(one.state_dict())


def test_a_missing_folder_names_the_choices(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="can't load the tokenizer 'nobody/no-such-model'") as error:
        TransformersTokenizer("nobody/no-such-model")
    assert "local folder" in error.value.valid


def test_what_is_longer_than_the_context_is_known(tmp_path):
    tokenizer = TransformersTokenizer(_folder(tmp_path), max_length=5)
    texts = ["is it red", "is it red ?", "is", "is it red is it red", ""]
    assert tokenizer.truncated(texts).tolist() == [False, True, False, True, False]
    assert tokenizer.truncated([]).tolist() == []
