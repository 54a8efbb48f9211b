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


def test_fused_sgd_equals_the_plain_one():
    from omegaconf import OmegaConf

    from mmdl.cli.paths import packaged_conf

    options = OmegaConf.to_container(OmegaConf.load(packaged_conf() / "optimizer" / "sgd.yaml"))
    options = {name: value for name, value in options.items() if not name.startswith("_")}
    assert options["fused"] is True
    weights = []
    for fused in (True, False):
        generator = torch.Generator().manual_seed(0)
        kernel = torch.randn(8, 4, 3, 3, generator=generator).to(memory_format=torch.channels_last)
        parameters = [torch.nn.Parameter(kernel), torch.nn.Parameter(torch.ones(8))]
        optimizer = torch_optimizer([{"params": parameters}], **{**options, "lr": 0.05, "fused": fused})
        for _ in range(10):
            for parameter in parameters:
                parameter.grad = torch.randn(parameter.shape, generator=generator)
            optimizer.step()
        weights.append(parameters)
    for one, other in zip(*weights, strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    assert not torch.equal(weights[0][1], torch.ones(8))
