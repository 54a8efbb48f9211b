import math

import pytest
import torch

from mmdl.losses.infonce import infonce
from mmdl.losses.pairs import Pairs


def by_hand(pairs, scale):
    """Sum over rows of the cross-entropy with equal parts on the positives, in plain Python."""
    logits = (scale * pairs.image @ pairs.text.T).tolist()
    match = [[int(a) == int(b) for b in pairs.caption_ids] for a in pairs.image_ids]

    def mean(logits, match):
        total = 0.0
        for row, positive in zip(logits, match, strict=True):
            normalizer = math.log(sum(math.exp(x) for x in row))
            own = [normalizer - x for x, yes in zip(row, positive, strict=True) if yes]
            total += sum(own) / len(own)
        return total / len(logits)

    columns = [list(c) for c in zip(*logits, strict=True)], [list(c) for c in zip(*match, strict=True)]
    return (mean(logits, match) + mean(*columns)) / 2


@pytest.mark.parametrize(("images", "captions"), [(1, 1), (1, 3), (4, 4), (5, 12)])
def test_equals_the_formula_in_plain_python(make_pairs, images, captions):
    pairs = make_pairs(images, captions)
    found = infonce(pairs, torch.tensor(9.0, dtype=torch.float64))
    assert found.item() == pytest.approx(by_hand(pairs, 9.0), abs=1e-12)


def test_equal_images_are_no_negatives():
    same = torch.ones(2, 1)
    of_two, of_one = (
        infonce(Pairs(same, same, ids, ids), torch.tensor(5.0))
        for ids in (torch.arange(2), torch.zeros(2, dtype=torch.int64))
    )
    assert of_two.item() == pytest.approx(math.log(2))
    assert of_one.item() == pytest.approx(math.log(2)), "the entropy of the target"
    apart = torch.tensor([[1.0], [-1.0]])
    scale = torch.tensor(5.0)
    wrong = infonce(
        Pairs(apart, apart, torch.zeros(2, dtype=torch.int64), torch.zeros(2, dtype=torch.int64)), scale
    )
    right = infonce(Pairs(apart, apart, torch.arange(2), torch.arange(2)), scale)
    assert right.item() < 1e-3 < 4 < wrong.item()


def test_the_parts_of_the_ranks_add_up_to_the_joined_loss(make_pairs):
    pairs = make_pairs(7, 16)
    scale = torch.tensor(9.0, dtype=torch.float64)
    parts = [
        Pairs(pairs.image[i], pairs.text[t], pairs.image_ids[i], pairs.caption_ids[t])
        for i, t in ((slice(0, 2), slice(0, 9)), (slice(2, 7), slice(9, 16)))
    ]
    total = sum(infonce(part, scale, everyone=pairs) for part in parts)
    torch.testing.assert_close(total, infonce(pairs, scale), rtol=0, atol=1e-12)


def test_is_in_float32_under_autocast(make_pairs):
    pairs = make_pairs(8, 20, 16, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = infonce(pairs, torch.tensor(9.0))
    assert found.dtype == torch.float32
    assert found.item() == infonce(pairs, torch.tensor(9.0)).item()
