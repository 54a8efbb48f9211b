from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel, T5Config, T5Model

from mmdl.errors import UserError
from mmdl.models.question_tower.transformers import TransformersQuestionTower

BERT = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 16,
}


@pytest.fixture
def bert(tmp_path: Path) -> tuple[BertModel, str]:
    torch.manual_seed(0)
    model = BertModel(BertConfig(**BERT)).eval()
    model.save_pretrained(tmp_path / "bert")
    return model, str(tmp_path / "bert")


def _questions() -> tuple[torch.Tensor, torch.Tensor]:
    mask = torch.arange(7) < torch.tensor([[3], [7]])
    return torch.randint(1, 40, (2, 7), generator=torch.Generator().manual_seed(0)) * mask, mask


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_equals_the_model_with_its_saved_weights(bert, pooling, assert_partition):
    model, folder = bert
    tower = TransformersQuestionTower(folder, pooling=pooling, vocab_size=40).eval()
    tokens, mask = _questions()
    with torch.no_grad():
        features = tower(tokens, mask)
        states = model(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
    torch.testing.assert_close(features.tokens, states)
    expected = states[:, 0] if pooling == "cls" else torch.stack([states[0, :3].mean(0), states[1].mean(0)])
    torch.testing.assert_close(features.pooled, expected)
    assert tower.token_dim == tower.pooled_dim == 16
    assert assert_partition(tower) == ["stem", "encoder.layer.0", "encoder.layer.1"]


def test_every_parameter_gets_a_gradient(bert):
    tower = TransformersQuestionTower(bert[1])
    tower(*_questions()).pooled.sum().backward()
    assert [name for name, p in tower.named_parameters() if p.grad is None] == []


def test_more_padding_changes_nothing(bert):
    tower = TransformersQuestionTower(bert[1]).eval()
    tokens, mask = _questions()
    wide = tower(torch.nn.functional.pad(tokens, (0, 4)), torch.nn.functional.pad(mask, (0, 4)))
    torch.testing.assert_close(wide.pooled, tower(tokens, mask).pooled)


def test_without_pretrained_only_the_config_is_read(bert):
    model, folder = bert
    (Path(folder) / "model.safetensors").unlink()
    tower = TransformersQuestionTower(folder, pretrained=False)
    assert tower.encoder.embeddings.word_embeddings.weight.shape == (40, 16)
    assert not torch.equal(
        tower.encoder.embeddings.word_embeddings.weight, model.embeddings.word_embeddings.weight
    )


def test_the_encoder_is_taken_of_an_encoder_decoder(tmp_path, assert_partition):
    config = T5Config(vocab_size=40, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    T5Model(config).save_pretrained(tmp_path / "t5")
    tower = TransformersQuestionTower(str(tmp_path / "t5"))
    tower(*_questions()).pooled.sum().backward()
    assert all(p.grad is not None for p in tower.parameters())
    assert assert_partition(tower)[:3] == ["stem", "block.0", "block.1"]


def test_weights_that_lack_a_layer_are_refused(bert):
    file = Path(bert[1]) / "model.safetensors"
    state = load_file(file)
    state.pop("encoder.layer.1.output.dense.weight")
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(UserError, match="lack or misfit 1 tensors"):
        TransformersQuestionTower(bert[1])


def test_weights_of_another_shape_are_refused(bert):
    file = Path(bert[1]) / "model.safetensors"
    state = load_file(file)
    state["embeddings.word_embeddings.weight"] = torch.zeros(39, 16)
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(UserError, match="word_embeddings"):
        TransformersQuestionTower(bert[1])


def test_another_tokenizer_is_refused(bert):
    with pytest.raises(UserError, match="the tokenizer has 20 ids"):
        TransformersQuestionTower(bert[1], vocab_size=20)


def test_a_missing_folder_names_the_choices(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="can't load 'nobody/no-such-model'") as error:
        TransformersQuestionTower("nobody/no-such-model")
    assert "local folder" in error.value.valid


def test_unknown_pooling():
    with pytest.raises(UserError, match="unknown pooling 'max'"):
        TransformersQuestionTower("any", pooling="max")
