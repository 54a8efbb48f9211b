from __future__ import annotations

import pytest

from mmdl.data.augment.cutmix import Cutmix
from mmdl.data.augment.flip import Flip
from mmdl.data.augment.mixup import Mixup
from mmdl.data.augment.unmixed import unmixed_steps
from mmdl.errors import UserError


def test_steps_in_their_order_without_those_that_were_taken_away():
    flip, other = Flip(), Flip(0.2)
    assert unmixed_steps({"b": flip, "crop": {"padding": 2}, "none": None, "a": other}) == [flip, other]
    assert unmixed_steps(None) == []


@pytest.mark.parametrize("step", [Mixup(), Cutmix()])
def test_steps_that_mix_are_refused_by_their_name(step):
    with pytest.raises(UserError, match=r"data\.augment\.blend mixes"):
        unmixed_steps({"flip": Flip(), "blend": step})
