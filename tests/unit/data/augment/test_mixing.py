import pytest
import torch
from torch.nn.functional import one_hot

from mmdl.data.augment.cutmix import Cutmix
from mmdl.data.augment.draws import Draws
from mmdl.data.augment.mixing import mixed_targets, pair_draw
from mmdl.data.augment.mixup import Mixup


@pytest.mark.parametrize("count", [1, 2, 7, 64])
def test_both_of_a_pair_have_one_number(count):
    numbers = pair_draw(Draws(torch.arange(count), 0, 0))
    assert torch.equal(numbers, numbers.flip(0))
    assert len(set(numbers.tolist())) == (count + 1) // 2


def test_targets_are_shared_out_by_hand(make_batch):
    batch = make_batch(count=5, classes=4)
    share = torch.tensor([0.0, 0.25, 1.0, 0.5, 0.75])
    targets = mixed_targets(batch, share, 4)
    own = one_hot(batch["labels"], 4).float()
    for place in range(5):
        expected = share[place] * own[place] + (1 - share[place]) * own[4 - place]
        assert torch.equal(targets[place], expected)
    again = mixed_targets({**batch, "targets": targets}, share, 4)
    assert again[1].tolist() == pytest.approx((0.25 * targets[1] + 0.75 * targets[3]).tolist())
    assert again.sum(1).tolist() == pytest.approx([1.0] * 5)


def test_with_probabilities_that_sum_up_to_one_each_pair_is_mixed_in_exactly_one_way(make_batch, apply):
    batch = make_batch(count=400, height=8, width=8, classes=400)
    both = apply([Mixup(alpha=0.8, probability=0.5), Cutmix(probability=0.5)], batch, num_classes=400)
    only_mixup = apply(Mixup(alpha=0.8, probability=0.5), batch, num_classes=400)
    by_mixup = (only_mixup["images"] != batch["images"].float()).flatten(1).any(1)
    assert torch.equal(both["images"][by_mixup], only_mixup["images"][by_mixup])
    rest = both["images"][~by_mixup]
    own, partner = (x[~by_mixup].float() for x in (batch["images"], batch["images"].flip(0)))
    assert ((rest == own) | (rest == partner)).all()
    assert 130 < by_mixup.sum() < 270
    assert torch.equal(by_mixup, by_mixup.flip(0))
    # no image is left alone, but for those whose rectangle is empty
    alone = (rest == own).flatten(1).all(1)
    assert alone.float().mean() < 0.15


def test_both_at_full_probability_compose(make_batch, apply):
    batch = make_batch(count=60)
    after = apply([Mixup(1.0), Cutmix(1.0)], batch)
    assert after["targets"].shape == (60, 5)
    assert after["targets"].dtype == torch.float32
    assert after["targets"].sum(1).tolist() == pytest.approx([1.0] * 60, abs=1e-6)
    assert (after["targets"] >= 0).all()
