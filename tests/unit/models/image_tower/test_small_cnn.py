from __future__ import annotations

import pytest
import torch

from mmdl.errors import UserError
from mmdl.models.image_tower.small_cnn import SmallCNN


@pytest.mark.parametrize("norm", ["weight", "none", "group", "batch"])
def test_shapes_at_64_pixels(norm):
    tower = SmallCNN((16, 16, 32), depth=2, norm=norm)
    features = tower(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8))
    assert features.grid.shape == (2, tower.grid_channels, 8, 8) == (2, 32, 8, 8)
    assert features.pooled.shape == (2, tower.pooled_dim) == (2, 64)


@pytest.mark.parametrize(
    ("norm", "independent"), [("weight", True), ("none", True), ("group", True), ("batch", False)]
)
def test_an_image_is_independent_of_its_batch_unless_batch_norm(norm, independent):
    torch.manual_seed(0)
    tower = SmallCNN((16, 16), norm=norm).double().train()
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    same = torch.allclose(tower(images).grid[:1], tower(images[:1]).grid, rtol=1e-9, atol=1e-11)
    assert same is independent


def test_pooled_is_mean_and_maximum_of_the_grid():
    features = SmallCNN((4, 6))(torch.randint(0, 256, (2, 3, 12, 12), dtype=torch.uint8))
    cells = features.grid.flatten(2)
    torch.testing.assert_close(features.pooled, torch.cat([cells.mean(2), cells.amax(2)], dim=1))


def test_coordinates_tell_positions_apart():
    torch.manual_seed(0)
    flat = torch.full((1, 3, 32, 32), 200, dtype=torch.uint8)
    inner = (slice(None), slice(None), slice(2, -2), slice(2, -2))  # away from zero padding
    assert SmallCNN((8,), coordinates=False)(flat).grid[inner].std(dim=(2, 3)).max() < 1e-6
    assert SmallCNN((8,), coordinates=True)(flat).grid[inner].std(dim=(2, 3)).max() > 1e-3


def test_a_plain_image_of_any_brightness_gives_the_same_features():
    tower = SmallCNN((8, 8), norm="weight")
    dark, bright = (torch.full((1, 3, 16, 16), level, dtype=torch.uint8) for level in (10, 250))
    torch.testing.assert_close(tower(dark).grid, tower(bright).grid, rtol=1e-4, atol=1e-4)


def test_unknown_norm():
    with pytest.raises(UserError, match="unknown norm 'layer'"):
        SmallCNN(norm="layer")
