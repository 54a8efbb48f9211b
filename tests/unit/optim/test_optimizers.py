import pytest
import torch

from mmdl.errors import UserError
from mmdl.models.cnn import CNN
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


def test_gradients_have_the_layout_of_their_parameters():
    # torch 2.15 on the CPU: a fused SGD or AdamW scrambles a gradient of another layout, without an error.
    model = CNN(3, 12, 5, channels=(8, 8), depth=2, kernel=[3, 1], hidden=(16,))
    model = model.to(memory_format=torch.channels_last)
    images = torch.randint(0, 256, (4, 3, 12, 12), dtype=torch.uint8)
    for given in (images, images.to(memory_format=torch.channels_last)):
        for _ in range(2):  # the second gradient is added to the first
            model(given).square().sum().backward()
            for name, parameter in model.named_parameters():
                matters = [place for place, size in enumerate(parameter.shape) if size > 1]
                strides = ([t.stride(place) for place in matters] for t in (parameter, parameter.grad))
                assert len({tuple(one) for one in strides}) == 1, name


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
                grad = torch.randn(parameter.shape, generator=generator)
                # In the layout of its parameter, as autograd makes it: the fused kernels go by memory order.
                parameter.grad = torch.empty_like(parameter).copy_(grad)
            optimizer.step()
        weights.append(parameters)
    for one, other in zip(*weights, strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    assert not torch.equal(weights[0][1], torch.ones(8))
