import pytest
import torch

from mmdl.data.augment.cutout import Cutout
from mmdl.data.augment.draws import Draws
from mmdl.data.augment.fill import tell_mean
from mmdl.errors import UserError


def test_a_square_is_covered_where_the_draws_say(make_batch, apply):
    batch = make_batch(count=40, height=12, width=10)
    step = Cutout(5, "mean", mean=[0.2, 0.5, 0.9])
    after = apply(step, batch, seed=2, epoch=3)["images"]
    places = Draws(batch["rows"], 2, 3).uniform(3).double()
    color = torch.tensor([51, 128, 230], dtype=torch.uint8).view(3, 1, 1)
    for image, found, (down, right, _) in zip(batch["images"], after, places.tolist(), strict=True):
        expected = image.clone()
        top, left = int(down * 12) - 2, int(right * 10) - 2
        expected[:, max(0, top) : max(0, top + 5), max(0, left) : max(0, left + 5)] = color
        assert torch.equal(found, expected)


def test_the_mean_comes_from_the_training_images(make_batch, apply):
    batch = make_batch(channels=1, dtype=torch.float32)
    step = Cutout(1.0, probability=1.0)
    tell_mean([step], [0.25])
    changed = apply(step, batch)["images"]
    assert set(changed[changed != batch["images"]].tolist()) == {63.75}
    given = Cutout(mean=[0.75])
    tell_mean([given], [0.25])
    assert given.fill.mean == [0.75]


def test_noise_is_even_and_of_each_sample(make_batch, apply):
    batch = make_batch(count=200, height=16, width=16)
    blank = {**batch, "images": torch.zeros_like(batch["images"])}
    noise = apply(Cutout(8, "noise"), blank)["images"]
    levels = noise[noise > 0].double()
    assert levels.mean().item() == pytest.approx(128, abs=2)
    assert levels.std().item() == pytest.approx(74, abs=2)
    assert not torch.equal(noise[0], noise[1])
    # the same square whatever it is filled with
    zeros = apply(Cutout(8, "zeros"), {**batch, "images": torch.full_like(batch["images"], 7)})["images"]
    assert torch.equal((noise > 0) & (zeros == 7), torch.zeros_like(zeros, dtype=torch.bool))


def test_zeros_are_black_and_a_probability_spares_images(make_batch, apply):
    batch = make_batch(count=1000, height=8, width=8)
    batch["images"] = batch["images"].clamp(min=1)
    after = apply(Cutout(4, "zeros", probability=0.4), batch)["images"]
    covered = (after == 0).flatten(1).any(1)
    assert covered.float().mean().item() == pytest.approx(0.4, abs=0.06)
    assert torch.equal(after[~covered], batch["images"][~covered])
    assert (after == 0).all(1).sum((1, 2)).max() == 16


def test_settings_that_are_not_valid():
    with pytest.raises(UserError, match=r"cutout.fill='men'") as caught:
        Cutout(fill="men")
    assert caught.value.valid.startswith("mean")
    with pytest.raises(UserError, match=r"cutout.probability=2"):
        Cutout(probability=2)
