from __future__ import annotations

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from mmdl.errors import UserError
from mmdl.models.question_tower.open_clip import OpenCLIPQuestionTower

TEXTS = ["is it red?", "how many small blue circles are there?"]


def _tokens(width: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    ids = open_clip.get_tokenizer("ViT-B-32")(TEXTS, context_length=12)[:, :width]
    return ids, ids != 0


@pytest.mark.parametrize("name", ["tiny-vit", "tiny-bidirectional"])
def test_equals_encode_text_with_weights_of_a_file(name, tiny_clip, tmp_path, assert_partition):
    model = tiny_clip(name)
    file = tmp_path / "weights.safetensors"
    save_file(model.state_dict(), file)
    tower = OpenCLIPQuestionTower(name, pretrained=str(file), vocab_size=49408).eval()
    ids, mask = _tokens()
    with torch.no_grad():
        features, expected = tower(ids, mask), model.encode_text(ids)
    torch.testing.assert_close(features.pooled, expected, rtol=1e-5, atol=1e-6)
    assert features.tokens.shape == (2, 12, tower.token_dim) == (2, 12, 16)
    assert tower.pooled_dim == 24
    assert assert_partition(tower) == ["stem", "transformer.resblocks.0", "transformer.resblocks.1", "neck"]


@pytest.mark.parametrize("max_length", [None, 11])
def test_shorter_input_changes_nothing_for_a_causal_model(max_length, tiny_clip, tmp_path):
    file = tmp_path / "weights.safetensors"
    save_file(tiny_clip("tiny-vit").state_dict(), file)
    full = OpenCLIPQuestionTower("tiny-vit", pretrained=str(file)).eval()
    short = OpenCLIPQuestionTower("tiny-vit", pretrained=str(file), max_length=max_length).eval()
    with torch.no_grad():
        expected, features = full(*_tokens()), short(*_tokens(width=11))
    torch.testing.assert_close(features.pooled, expected.pooled)
    torch.testing.assert_close(features.tokens, expected.tokens[:, :11])


def test_shorter_input_is_refused_for_other_models(tiny_clip):
    with pytest.raises(UserError, match="'tiny-bidirectional' needs its 12 tokens"):
        OpenCLIPQuestionTower("tiny-bidirectional", max_length=8)


def test_another_tokenizer_is_refused(tiny_clip):
    with pytest.raises(
        UserError, match="the tokenizer has 59 ids, but open_clip's 'tiny-vit' was built for 49408"
    ):
        OpenCLIPQuestionTower("tiny-vit", vocab_size=59)


def test_fewer_text_positions_are_refused(tiny_clip, tmp_path):
    state = tiny_clip("tiny-vit").state_dict()
    state["positional_embedding"] = state["positional_embedding"][:8].clone()
    file = tmp_path / "weights.safetensors"
    save_file(state, file)
    with pytest.raises(UserError, match=r"positional_embedding is \(8, 16\)"):
        OpenCLIPQuestionTower("tiny-vit", pretrained=str(file))
