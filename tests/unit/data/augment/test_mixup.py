import pytest
import torch
from torch.nn.functional import one_hot

from mmdl.data.augment.beta import symmetric_beta
from mmdl.data.augment.draws import Draws
from mmdl.data.augment.mixup import Mixup
from mmdl.errors import UserError


def test_images_and_targets_by_hand(make_batch, apply):
    batch = make_batch(count=9)
    after = apply(Mixup(alpha=0.7), batch, seed=1, epoch=6)
    shares = symmetric_beta(Draws(batch["rows"], 1, 6), 0.7)
    own = one_hot(batch["labels"], 5).double()
    for place, share in enumerate(shares.double()):
        images = batch["images"].double()
        expected = share * images[place] + (1 - share) * images[8 - place]
        assert torch.allclose(after["images"][place].double(), expected, atol=1e-3)
        wanted = share * own[place] + (1 - share) * own[8 - place]
        assert torch.allclose(after["targets"][place].double(), wanted, atol=1e-6)
    assert torch.equal(after["images"][4], batch["images"][4].float())  # the middle one is its own partner


def test_the_mean_share_is_half_and_its_spread_that_of_beta(apply):
    count = 20_000
    images = torch.zeros(count, 1, 1, 1, dtype=torch.uint8)
    images[: count // 2] = 255  # the first half is mixed with the second
    batch = {"rows": torch.arange(count), "images": images, "labels": torch.zeros(count, dtype=torch.long)}
    shares = apply(Mixup(0.4), batch)["images"][: count // 2].flatten() / 255
    assert shares.mean().item() == pytest.approx(0.5, abs=0.02)
    assert shares.var().item() == pytest.approx(1 / (4 * 1.8), abs=0.005)


def test_a_pair_depends_on_its_two_rows_only(make_batch, apply):
    batch = make_batch(count=10)
    whole = apply(Mixup(1.0), batch)
    pair = {key: value[[2, 7]] for key, value in batch.items()}
    alone = apply(Mixup(1.0), pair)
    assert torch.allclose(alone["images"], whole["images"][[2, 7]], atol=1e-4)
    assert torch.allclose(alone["targets"], whole["targets"][[2, 7]], atol=1e-6)


def test_a_probability_spares_pairs(make_batch, apply):
    batch = make_batch(count=1000, height=4, width=4)
    after = apply(Mixup(1.0, probability=0.3), batch)
    mixed = (after["images"] != batch["images"].float()).flatten(1).any(1)
    assert mixed.float().mean().item() == pytest.approx(0.3, abs=0.06)
    assert torch.equal(after["targets"][~mixed], one_hot(batch["labels"], 5).float()[~mixed])


def test_settings_that_are_not_valid():
    with pytest.raises(UserError, match=r"mixup.alpha=0"):
        Mixup(alpha=0)
