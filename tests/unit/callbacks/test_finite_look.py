import pytest
import torch

from mmdl.callbacks.finite_look import FiniteLook


@pytest.mark.parametrize(
    ("value", "bad"), [(1.0, False), (float("nan"), True), (float("inf"), True), (-float("inf"), True)]
)
def test_what_is_not_finite(value, bad):
    assert FiniteLook(torch.tensor(value, requires_grad=True), 1).bad() is bad


def test_one_value_of_several_is_enough():
    assert FiniteLook(torch.tensor([1.0, float("nan")]), 1).bad()
