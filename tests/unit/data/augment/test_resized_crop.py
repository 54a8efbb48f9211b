import pytest
import torch
from torchvision.transforms.v2 import functional

from mmdl.data.augment import resized_crop
from mmdl.data.augment.draws import Draws
from mmdl.data.augment.resized_crop import LARGE, ResizedCrop, resizing
from mmdl.errors import UserError


@pytest.mark.parametrize("size", [8, 24, 40])
def test_each_image_equals_torchvision_with_antialiasing(size, make_batch, apply):
    batch = make_batch(count=12, height=24, width=32)
    step = ResizedCrop(size)
    after = apply(step, batch, seed=1, epoch=4)["images"]
    assert after.shape == (12, 3, size, size)
    boxes = torch.stack(step.boxes(Draws(batch["rows"], 1, 4), 24, 32), dim=1).tolist()
    for image, found, box in zip(batch["images"].float(), after, boxes, strict=True):
        expected = functional.resized_crop(image, *box, size=[size, size], antialias=True)
        assert torch.allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("size", [None, 48])
def test_large_images_of_bytes_are_resized_one_by_one_to_the_same_levels(
    size, make_batch, apply, monkeypatch
):
    batch = make_batch(count=5, height=LARGE, width=LARGE + 8)
    step = ResizedCrop(size, scale=(0.3, 1.0))
    one_by_one = apply(step, batch, seed=1, epoch=4)["images"]
    assert one_by_one.dtype == torch.uint8
    monkeypatch.setattr(resized_crop, "LARGE", 10_000)
    products = apply(step, batch, seed=1, epoch=4)["images"]
    assert products.is_floating_point()
    assert one_by_one.shape == products.shape
    assert (one_by_one.float() - products).abs().max() <= 1


def test_boxes_have_the_areas_and_ratios_that_are_asked_for():
    step = ResizedCrop(scale=(0.2, 0.8), ratio=(0.5, 2.0))
    top, left, tall, wide = step.boxes(Draws(torch.arange(20_000), 0, 0), 200, 200)
    assert ((top >= 0) & (left >= 0) & (top + tall <= 200) & (left + wide <= 200)).all()
    area, ratio = (tall * wide).double() / 200**2, wide.double() / tall
    assert (area.min().item(), area.max().item()) == pytest.approx((0.2, 0.8), abs=0.01)
    assert (ratio.min().item(), ratio.max().item()) == pytest.approx((0.5, 2.0), abs=0.03)
    assert ratio.log().mean().item() == pytest.approx(0, abs=0.02)
    inside = tall < 200
    place = top[inside].double() / (200 - tall[inside])
    assert place.mean().item() == pytest.approx(0.5, abs=0.02)
    assert place.max() == 1


def test_boxes_are_distributed_as_torchvisions():
    from torchvision.transforms import RandomResizedCrop

    torch.manual_seed(0)
    image = torch.zeros(3, 60, 90)
    theirs = torch.tensor(
        [RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(6000)]
    ).double()
    ours = torch.stack(ResizedCrop().boxes(Draws(torch.arange(6000), 0, 0), 60, 90), dim=1).double()
    assert torch.allclose(ours.mean(0), theirs.mean(0), atol=1.0)
    assert torch.allclose(ours.std(0), theirs.std(0), atol=1.0)


def test_without_a_box_that_fits_the_largest_centred_one_is_taken():
    step = ResizedCrop(scale=(1.0, 1.0), ratio=(1.0, 1.0))
    top, left, tall, wide = step.boxes(Draws(torch.arange(3), 0, 0), 20, 50)
    assert (top.tolist(), left.tolist()) == ([0] * 3, [15] * 3)
    assert (tall.tolist(), wide.tolist()) == ([20] * 3, [20] * 3)


def test_weights_sum_up_to_one_inside_the_part():
    first, length = torch.tensor([0, 3, 9]), torch.tensor([12, 5, 1])
    weights = resizing(first, length, 12, 7)
    assert torch.allclose(weights.sum(2), torch.ones(3, 7))
    assert (weights >= 0).all()
    for place in range(3):
        outside = torch.ones(12, dtype=torch.bool)
        outside[first[place] : first[place] + length[place]] = False
        assert (weights[place][:, outside] == 0).all()


def test_settings_that_are_not_valid():
    with pytest.raises(UserError, match=r"resized_crop.scale=\[0, 1\]"):
        ResizedCrop(scale=(0, 1))
    with pytest.raises(UserError, match=r"resized_crop.ratio=\[2, 1\]"):
        ResizedCrop(ratio=(2, 1))
    with pytest.raises(UserError, match=r"resized_crop.size=0"):
        ResizedCrop(size=0)
