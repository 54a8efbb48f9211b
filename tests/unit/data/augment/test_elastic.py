import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, map_coordinates

from mmdl.data.augment.draws import Draws
from mmdl.data.augment.elastic import NOISE, Elastic, spread
from mmdl.errors import UserError


def test_each_image_equals_scipy(make_batch, apply):
    batch = make_batch(count=5, channels=1, height=28, width=24)
    after = apply(Elastic(alpha=30, sigma=3.0), batch, seed=2, epoch=1)["images"]
    draws = Draws(batch["rows"], 2, 1)
    draws.uniform(1)
    noise = (2.0 * draws.bytes(2 * 28 * 24).view(5, 2, 28, 24).numpy() - 255) / NOISE
    rows, columns = np.meshgrid(np.arange(28), np.arange(24), indexing="ij")
    for image, found, (across, down) in zip(batch["images"], after, noise, strict=True):
        move_x, move_y = (30 * gaussian_filter(field, 3.0, mode="constant") for field in (across, down))
        padded = np.pad(image[0].numpy().astype(float), 8)  # black outside
        expected = map_coordinates(padded, [rows + move_y + 8, columns + move_x + 8], order=1)
        # moves are rounded to about a hundredth of a pixel, and neighbouring pixels differ by up to 255
        assert np.abs(found[0].numpy() - expected).max() < 255 * 0.03
        assert np.abs(found[0].numpy() - expected).mean() < 0.5


def test_moves_have_the_spread_that_is_stated(apply):
    ramp = torch.arange(64.0).view(1, 1, 1, -1).expand(40, 1, 64, -1).contiguous()
    batch = {"rows": torch.arange(40), "images": ramp, "labels": torch.zeros(40, dtype=torch.long)}
    after = apply(Elastic(alpha=34, sigma=4, fill="edge"), batch)["images"]
    moves = (after - ramp)[:, 0, 20:44, 20:44]
    assert moves.std().item() == pytest.approx(spread(34, 4), rel=0.1)
    assert moves.mean().item() == pytest.approx(0, abs=0.15)


def test_neighbours_move_together(apply):
    ramp = torch.arange(32.0).view(1, 1, 1, -1).expand(20, 1, 32, -1).contiguous() * 4
    batch = {"rows": torch.arange(20), "images": ramp, "labels": torch.zeros(20, dtype=torch.long)}
    moves = (apply(Elastic(fill="edge"), batch)["images"] - ramp)[:, 0, 8:24, 8:24] / 4
    assert (moves[:, 1:] - moves[:, :-1]).std() < 0.3 * moves.std()


def test_a_probability_spares_images_and_no_strength_changes_nothing(make_batch, apply):
    batch = make_batch(count=300)
    after = apply(Elastic(probability=0.5), batch)["images"]
    same = torch.isclose(after, batch["images"].float(), atol=1e-3).flatten(1).all(1)
    assert same.float().mean().item() == pytest.approx(0.5, abs=0.1)
    unchanged = apply(Elastic(alpha=0), batch)["images"]
    assert torch.allclose(unchanged, batch["images"].float(), atol=1e-3)


def test_settings_that_are_not_valid():
    with pytest.raises(UserError, match=r"elastic.sigma=0"):
        Elastic(sigma=0)
