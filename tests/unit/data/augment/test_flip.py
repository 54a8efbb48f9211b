import pytest
import torch

from mmdl.data.augment.flip import Flip
from mmdl.errors import UserError


def mirrored(batch, after):
    whole = (after["images"] == batch["images"].flip(3)).flatten(1).all(1)
    same = (after["images"] == batch["images"]).flatten(1).all(1)
    assert torch.equal(whole, ~same)
    return whole


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_each_image_is_mirrored_or_left(dtype, make_batch, apply):
    batch = make_batch(count=2000, height=4, width=4, channels=1, dtype=dtype)
    assert mirrored(batch, apply(Flip(0.3), batch)).float().mean().item() == pytest.approx(0.3, abs=0.05)
    assert not mirrored(batch, apply(Flip(0.0), batch)).any()
    assert mirrored(batch, apply(Flip(1.0), batch)).all()


def test_alternating_mirrors_in_every_second_epoch_exactly_the_others(make_batch, apply):
    batch = make_batch(count=200)
    step = Flip(alternate=True)
    even, odd, next_even = (mirrored(batch, apply(step, batch, epoch=epoch)) for epoch in (0, 1, 2))
    assert torch.equal(even, ~odd)
    assert torch.equal(even, next_even)
    assert 60 < even.sum() < 140


def test_a_probability_outside_its_range_is_refused():
    with pytest.raises(UserError, match=r"data.augment.flip.probability=1.5") as caught:
        Flip(1.5)
    assert "[0, 1]" in caught.value.valid
