from __future__ import annotations

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
