from __future__ import annotations

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mmdl.models.question_tower.gru import GRU

LENGTHS = torch.tensor([3, 7, 1, 5])


def _questions(width: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    mask = torch.arange(width) < LENGTHS[:, None]
    return torch.randint(1, 30, mask.shape, generator=torch.Generator().manual_seed(0)) * mask, mask


@pytest.mark.parametrize("bidirectional", [False, True])
def test_equals_torch_on_packed_sequences(bidirectional):
    tower = GRU(30, 6, 10, bidirectional=bidirectional).double()
    reference = torch.nn.GRU(6, 10, batch_first=True, bidirectional=bidirectional).double()
    for name, parameter in tower.forwards.named_parameters():
        reference.get_parameter(name).data.copy_(parameter.data)
    if bidirectional:
        for name, parameter in tower.backwards.named_parameters():
            reference.get_parameter(f"{name}_reverse").data.copy_(parameter.data)
    tokens, mask = _questions()
    packed = pack_padded_sequence(tower.embedding(tokens), LENGTHS, batch_first=True, enforce_sorted=False)
    states, last = reference(packed)
    expected = pad_packed_sequence(states, batch_first=True, total_length=9)[0]
    features = tower(tokens, mask)
    torch.testing.assert_close(features.tokens, expected)
    torch.testing.assert_close(features.pooled, last.transpose(0, 1).flatten(1))
    assert features.tokens.shape[2] == tower.token_dim
    assert features.pooled.shape[1] == tower.pooled_dim


@pytest.mark.parametrize("bidirectional", [False, True])
def test_an_empty_question_gives_zeros(bidirectional):
    tokens, mask = _questions()
    tokens[0], mask[0] = 0, False
    features = GRU(30, 6, 10, bidirectional=bidirectional)(tokens, mask)
    assert features.pooled[0].abs().sum() == 0
    assert features.tokens[0].abs().sum() == 0


def test_no_questions_at_all():
    features = GRU(30, 6, 10)(torch.zeros(0, 9, dtype=torch.long), torch.zeros(0, 9, dtype=torch.bool))
    assert features.tokens.shape == (0, 9, 10)
    assert features.pooled.shape == (0, 10)


def test_layer_groups():
    groups = GRU(30, 6, 10, bidirectional=True).layer_groups()
    assert [group.name for group in groups] == ["embedding", "gru"]
    assert [len(group.parameters()) for group in groups] == [1, 8]
