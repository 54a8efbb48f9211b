import pytest
import torch

from mmdl.errors import UserError
from mmdl.optim.optimizers import timm_optimizer, torch_optimizer


def groups():
    return [{"params": [torch.nn.Parameter(torch.ones(2, 2))], "lr": 0.5, "weight_decay": 0.0}]


def test_any_torch_optimizer_by_name():
    found = torch_optimizer(groups(), "NAdam", lr=0.1, betas=[0.8, 0.9])
    assert isinstance(found, torch.optim.NAdam)
    assert found.param_groups[0]["lr"] == 0.5
    assert list(found.param_groups[0]["betas"]) == [0.8, 0.9]


def test_an_unknown_name_or_argument_gives_the_nearest():
    with pytest.raises(UserError) as caught:
        torch_optimizer(groups(), "AdmaW", lr=0.1)
    assert caught.value.valid.startswith("AdamW")
    with pytest.raises(UserError) as caught:
        torch_optimizer(groups(), "SGD", lr=0.1, momentun=0.9)
    assert caught.value.valid.startswith("momentum")


def test_any_timm_optimizer_by_name():
    found = timm_optimizer(groups(), "lamb", lr=0.1)
    assert type(found).__name__.lower() == "lamb"
    with pytest.raises(UserError) as caught:
        timm_optimizer(groups(), "lamp", lr=0.1)
    assert "lamb" in caught.value.valid
