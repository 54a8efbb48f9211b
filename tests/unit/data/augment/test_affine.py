import math

import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from mmdl.data.augment.affine import Affine
from mmdl.data.augment.draws import Draws
from mmdl.errors import UserError


def smooth_batch(make_batch, count=6, height=20, width=26):
    """Images without sharp edges, so that a rounding of places changes little."""
    batch = make_batch(count=count, height=5, width=6)
    images = torch.nn.functional.interpolate(batch["images"].float(), (height, width), mode="bilinear")
    return {**batch, "images": images}


@pytest.mark.parametrize(
    "settings",
    [
        {"degrees": 30, "scale": (1, 1), "translate": 0},
        {"degrees": 0, "scale": (0.6, 1.5), "translate": 0},
        {"degrees": 0, "scale": (1, 1), "translate": 0.3},
        {"degrees": 0, "scale": (1, 1), "translate": 0, "shear": 25},
        {"degrees": 40, "scale": (0.7, 1.2), "translate": 0.2, "shear": 15},
    ],
    ids=["rotation", "scale", "translation", "shear", "all"],
)
def test_each_image_equals_torchvision(settings, make_batch, apply):
    batch = smooth_batch(make_batch)
    step = Affine(**settings)
    after = apply(step, batch, seed=5, epoch=1)["images"]
    uniform = Draws(batch["rows"], 5, 1).uniform(5).double().tolist()
    for image, found, (turn, slant, size, right, down) in zip(batch["images"], after, uniform, strict=True):
        low, high = (math.log(value) for value in step.scale)
        expected = functional.affine(
            image,
            angle=(2 * turn - 1) * step.degrees,
            translate=[(2 * right - 1) * step.translate * 26, (2 * down - 1) * step.translate * 20],
            scale=math.exp(low + (high - low) * size),
            shear=[(2 * slant - 1) * step.shear, 0.0],
            interpolation=InterpolationMode.BILINEAR,
        )
        # torchvision's outermost pixels differ: it interpolates a mask at the border
        assert torch.allclose(found, expected, atol=0.02), (found - expected).abs().max()


def test_no_change_changes_nothing(make_batch, apply):
    batch = make_batch()
    after = apply(Affine(degrees=0, scale=(1, 1), translate=0), batch)["images"]
    assert torch.allclose(after, batch["images"].float(), atol=1e-3)


@pytest.mark.parametrize(("fill", "corner"), [("zeros", 0.0), ("mean", 0.25 * 255), ("edge", 200.0)])
def test_what_comes_in_from_outside(fill, corner, apply):
    images = torch.full((50, 1, 16, 16), 200, dtype=torch.uint8)
    batch = {"rows": torch.arange(50), "images": images, "labels": torch.zeros(50, dtype=torch.long)}
    step = Affine(degrees=0, scale=(0.5, 0.5), translate=0, fill=fill, mean=[0.25])
    after = apply(step, batch)["images"]
    assert torch.allclose(after[:, :, 0, 0], torch.full((50, 1), corner), atol=1e-3)
    assert torch.allclose(after[:, :, 8, 8], torch.full((50, 1), 200.0), atol=1e-3)


def test_angles_are_evenly_spread(apply):
    count = 3000
    images = torch.zeros(count, 1, 33, 33)
    images[:, :, 16, 28:31] = 255  # a mark to the right of the centre
    images[:, :, 15:18, 29] = 255
    batch = {"rows": torch.arange(count), "images": images, "labels": torch.zeros(count, dtype=torch.long)}
    after = apply(Affine(degrees=45, scale=(1, 1), translate=0), batch)["images"][:, 0]
    place = torch.arange(33.0) - 16
    total = after.sum((1, 2))
    angle = torch.atan2(
        (after * place.view(1, -1, 1)).sum((1, 2)) / total, (after * place).sum((1, 2)) / total
    ).rad2deg()
    assert angle.min().item() == pytest.approx(-45, abs=2)
    assert angle.max().item() == pytest.approx(45, abs=2)
    assert angle.std().item() == pytest.approx(90 / math.sqrt(12), abs=1)


def test_settings_that_are_not_valid():
    with pytest.raises(UserError, match=r"affine.scale=\[1.1, 0.9\]"):
        Affine(scale=(1.1, 0.9))
    with pytest.raises(UserError, match=r"affine.degrees=200"):
        Affine(degrees=200)
    with pytest.raises(UserError, match=r"affine.fill='wrap'"):
        Affine(fill="wrap")
