from __future__ import annotations

import json

import open_clip
import pytest
import torch

from mmdl.data.tokenizer.open_clip import OpenCLIPTokenizer
from mmdl.errors import UserError

TEXTS = ["Is it red?", "", "wow! ! ! great"]


def test_equals_open_clip_and_masks_the_tail():
    tokenizer = OpenCLIPTokenizer("ViT-B-32")
    ids, mask = tokenizer(TEXTS)
    assert torch.equal(ids, open_clip.get_tokenizer("ViT-B-32")(TEXTS))
    assert ids.shape == mask.shape == (3, 77)
    end = 49407
    assert [int((row == end).nonzero()[0]) + 1 for row in ids] == mask.sum(1).tolist()
    assert tokenizer.vocab_size == 49408


def test_shorter_length_keeps_the_end_token():
    ids, mask = OpenCLIPTokenizer("ViT-B-32", max_length=4)(["how many red circles are there"])
    assert ids.shape == (1, 4)
    assert ids[0, -1] == 49407
    assert mask.all()


def test_no_texts():
    assert OpenCLIPTokenizer("ViT-B-32")([])[0].shape == (0, 77)


def test_state_is_checked():
    tokenizer = OpenCLIPTokenizer("ViT-B-32")
    tokenizer.load_state_dict(tokenizer.state_dict())
    OpenCLIPTokenizer("ViT-L-14").load_state_dict(tokenizer.state_dict())  # the same vocabulary
    with pytest.raises(UserError, match="is not the one of the checkpoint"):
        OpenCLIPTokenizer("ViT-B-32", max_length=16).load_state_dict(tokenizer.state_dict())


def test_wrong_names_show_the_nearest():
    with pytest.raises(UserError, match="unknown open_clip model 'ViT-B-33'") as error:
        OpenCLIPTokenizer("ViT-B-33")
    assert error.value.valid.startswith("ViT-B-32")


def test_an_unreachable_hub_names_the_offline_choices(monkeypatch):
    def unreachable(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("open_clip.get_tokenizer", unreachable)
    with pytest.raises(UserError, match="no network") as error:
        OpenCLIPTokenizer("ViT-B-16-SigLIP")
    assert "local-dir" in error.value.valid


def test_what_is_longer_than_the_context_is_known():
    tokenizer = OpenCLIPTokenizer("ViT-B-32", max_length=6)
    inner = open_clip.get_tokenizer("ViT-B-32")
    texts = ["a b c d", "a b c d e", "a", "", "! ! ! !", "! ! ! ! !", "a b c d e f g h i", "red . . ."]
    lengths = [len(inner.encode(text)) + 2 for text in texts]
    assert {6, 7} <= set(lengths), "just fits, and just not"
    assert tokenizer.truncated(texts).tolist() == [length > 6 for length in lengths]
    assert tokenizer.truncated([]).tolist() == []


@pytest.mark.parametrize("pad", [0, 1])
def test_truncation_where_the_end_of_text_is_the_padding(pad):
    """As in SigLIP, whose tokenizer comes from a hub: both ids are 1."""

    class Inner:
        context_length = 5
        vocab_size = 9

        def __call__(self, texts, context_length=None):
            length = context_length or self.context_length
            rows = torch.full((len(texts), length), pad)
            for row, text in zip(rows, texts, strict=True):
                ids = [*(2 + int(word) for word in text.split()[: length - 1]), 1]
                row[: len(ids)] = torch.tensor(ids)
            return rows

    tokenizer = OpenCLIPTokenizer("ViT-B-32")
    tokenizer._tokenizer, tokenizer._pad, tokenizer.max_length = Inner(), pad, 5
    texts = ["1 2 3", "1 2 3 4", "1 2 3 4 5", "1 2 3 4 5 6", "1 2 3 4 5 6 7 8", ""]
    assert tokenizer.truncated(texts).tolist() == [False, False, True, True, True, False]


def test_own_architectures_and_files_have_a_tokenizer(tmp_path):
    own = OpenCLIPTokenizer("vit_tiny_64")
    assert (own.max_length, own.vocab_size) == (32, 49408)
    config = {"embed_dim": 8, "vision_cfg": {}, "text_cfg": {"context_length": 9}}
    (tmp_path / "a.json").write_text(json.dumps(config))
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    ids, mask = OpenCLIPTokenizer(str(tmp_path / "a.json"))(["a red circle"])
    for name in (f"local-dir:{tmp_path}", "ViT-B-32"):
        assert OpenCLIPTokenizer(name, max_length=9)(["a red circle"])[0].equal(ids)
    assert ids.shape == mask.shape == (1, 9)
    with pytest.raises(UserError, match="unknown open_clip model 'vit_tiny_46'"):
        OpenCLIPTokenizer("vit_tiny_46")
