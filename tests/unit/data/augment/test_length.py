import pytest

from mmdl.data.augment.length import check_range, pixels
from mmdl.errors import UserError


def test_shares_and_pixels():
    assert [pixels(length, 20) for length in (0, 0.1, 0.5, 1, 3, 3.0)] == [0, 2, 10, 1, 3, 3]


def test_a_value_outside_names_key_and_range():
    check_range("x.y", 0.5, 0, 1)
    with pytest.raises(UserError, match=r"data.augment.x.y=2") as caught:
        check_range("x.y", 2, 0, 1)
    assert caught.value.valid == "a number in [0, 1]"
    with pytest.raises(UserError) as caught:
        check_range("x.y", -1, 0, float("inf"))
    assert caught.value.valid == "a number from 0 on"
