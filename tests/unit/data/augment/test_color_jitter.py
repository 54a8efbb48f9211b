import pytest
import torch
from torchvision.transforms.v2 import functional

from mmdl.data.augment.color_jitter import ColorJitter
from mmdl.data.augment.draws import Draws
from mmdl.errors import UserError


@pytest.mark.parametrize("which", ["brightness", "contrast", "saturation", "all"])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_image_equals_torchvision(which, channels, make_batch, apply):
    batch = make_batch(channels=channels)
    strength = {
        name: 0.6 if which in (name, "all") else 0.0 for name in ("brightness", "contrast", "saturation")
    }
    after = apply(ColorJitter(**strength), batch, seed=3, epoch=1)["images"]
    uniform = 2 * Draws(batch["rows"], 3, 1).uniform(3) - 1
    for image, found, (bright, contrast, color) in zip(
        batch["images"].float() / 255, after, uniform.tolist(), strict=True
    ):
        expected = functional.adjust_brightness(image, 1 + strength["brightness"] * bright)
        expected = functional.adjust_contrast(expected, 1 + strength["contrast"] * contrast)
        expected = functional.adjust_saturation(expected, 1 + strength["saturation"] * color)
        assert torch.allclose(found, 255 * expected, atol=0.1)  # torchvision rounds its luminance weights


def test_no_strength_changes_nothing(make_batch, apply):
    batch = make_batch()
    assert torch.equal(apply(ColorJitter(0, 0, 0), batch)["images"], batch["images"].float())


def test_settings_that_are_not_valid():
    with pytest.raises(UserError, match=r"color_jitter.contrast=2"):
        ColorJitter(contrast=2)
