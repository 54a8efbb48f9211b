import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from mmdl.data.augment.beta import symmetric_beta
from mmdl.data.augment.cutmix import Cutmix
from mmdl.data.augment.draws import Draws
from mmdl.errors import UserError


def rand_bbox(width, height, share, cx, cy):
    """The box as the paper gives it (Yun et al. 2019, appendix), from given draws."""
    cut = np.sqrt(1.0 - share)
    cut_w, cut_h = int(width * cut), int(height * cut)
    x1, x2 = np.clip(cx - cut_w // 2, 0, width), np.clip(cx + cut_w // 2, 0, width)
    y1, y2 = np.clip(cy - cut_h // 2, 0, height), np.clip(cy + cut_h // 2, 0, height)
    return x1, y1, x2, y2


def test_images_and_targets_equal_the_papers_code(make_batch, apply):
    batch = make_batch(count=60, height=14, width=18)
    after = apply(Cutmix(alpha=1.0), batch, seed=8, epoch=2)
    assert after["images"].dtype == torch.uint8
    draws = Draws(batch["rows"], 8, 2)
    shares = symmetric_beta(draws, 1.0)
    centres = draws.uniform(2).double()
    own = one_hot(batch["labels"], 5).double()
    for place in range(60):
        cy, cx = int(centres[place, 0] * 14), int(centres[place, 1] * 18)
        x1, y1, x2, y2 = rand_bbox(18, 14, shares[place].item(), cx, cy)
        expected = batch["images"][place].clone()
        expected[:, y1:y2, x1:x2] = batch["images"][59 - place][:, y1:y2, x1:x2]
        assert torch.equal(after["images"][place], expected)
        share = 1 - (x2 - x1) * (y2 - y1) / (14 * 18)
        wanted = share * own[place] + (1 - share) * own[59 - place]
        assert torch.allclose(after["targets"][place].double(), wanted, atol=1e-6)


def test_float_images_are_mixed_alike(make_batch, apply):
    batch = make_batch(count=20)
    floats = {**batch, "images": batch["images"].float()}
    assert torch.equal(apply(Cutmix(), floats)["images"], apply(Cutmix(), batch)["images"].float())


def test_targets_follow_the_area(apply):
    count = 2000
    images = torch.zeros(count, 1, 16, 16, dtype=torch.uint8)
    images[: count // 2] = 200
    labels = (torch.arange(count) < count // 2).long()
    batch = {"rows": torch.arange(count), "images": images, "labels": labels}
    after = apply(Cutmix(), batch, num_classes=2)
    area = (after["images"] == 200).float().mean((1, 2, 3))
    assert torch.allclose(after["targets"][:, 1], area, atol=1e-6)
    assert 0.5 < area[: count // 2].mean() < 0.75  # half, and more where the rectangle is cut off


def test_a_probability_spares_pairs(make_batch, apply):
    batch = make_batch(count=1000, height=8, width=8, classes=1000)
    after = apply(Cutmix(probability=0.25), batch, num_classes=1000)
    mixed = after["targets"].max(1).values < 1
    assert mixed.float().mean().item() == pytest.approx(0.23, abs=0.07)
    assert torch.equal(after["images"][~mixed & ~mixed.flip(0)], batch["images"][~mixed & ~mixed.flip(0)])


def test_settings_that_are_not_valid():
    with pytest.raises(UserError, match=r"cutmix.probability=-1"):
        Cutmix(probability=-1)
