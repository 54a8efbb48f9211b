import pytest
import torch
from torch.nn.functional import interpolate

from mmdl.data.augment.progressive_resize import ProgressiveResize
from mmdl.errors import UserError


def test_sides_grow_in_a_line_and_are_multiples():
    step = ProgressiveResize(start=0.5, begin=0.2, until=0.7, multiple=4)
    sides = [step.side(32, share / 100) for share in range(100)]
    assert sides == sorted(sides)
    assert sides[:20] == [16] * 20
    assert sides[70:] == [32] * 30
    assert sides[45] == 24
    assert set(sides) == {16, 20, 24, 28, 32}


def test_the_full_size_need_not_be_a_multiple():
    step = ProgressiveResize(start=0.5, until=0.5, multiple=8)
    assert [step.side(30, share) for share in (0, 0.3, 0.49, 0.5, 0.9)] == [16, 24, 30, 30, 30]
    assert ProgressiveResize(start=0.01, multiple=4).side(28, 0) == 4


def test_images_equal_an_antialiased_resize(make_batch, apply):
    batch = make_batch(height=16, width=32)
    after = apply(ProgressiveResize(start=0.5, until=1.0), batch, progress=0.5)["images"]
    expected = interpolate(batch["images"].float(), (12, 24), mode="bilinear", antialias=True)
    assert torch.equal(after, expected.clamp(0, 255))


def test_at_the_end_the_batch_is_left_alone(make_batch, apply):
    batch = make_batch()
    assert apply(ProgressiveResize(), batch, progress=0.8)["images"] is batch["images"]


@pytest.mark.parametrize(
    "settings", [{"begin": 0.5, "until": 0.5}, {"until": 1.5}, {"multiple": 0}, {"start": 0}]
)
def test_settings_that_are_not_valid(settings):
    with pytest.raises(UserError, match="progressive_resize"):
        ProgressiveResize(**settings)
