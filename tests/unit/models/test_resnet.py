import pytest
import torch
import torchvision

from mmdl.errors import UserError
from mmdl.models.resnet import ResNet


@pytest.mark.parametrize(("depth", "parameters"), [(9, 6_573_120), (18, 11_173_962)])
def test_the_published_networks_have_their_published_sizes(depth, parameters):
    """DAWNBench's ResNet-9 (6,573,130 with a bias of its classifier), kuangliu/pytorch-cifar's ResNet-18."""
    assert sum(p.numel() for p in ResNet(3, 10, depth).parameters()) == parameters


def test_resnet18_equals_torchvisions_with_a_small_stem():
    torch.manual_seed(0)
    ours = ResNet(3, 10, 18, mean=[0.0] * 3, std=[1.0] * 3).eval()
    theirs = torchvision.models.resnet18(num_classes=10).eval()
    theirs.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
    theirs.maxpool = torch.nn.Identity()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(ours(images), theirs(images.float() / 255))


@pytest.mark.parametrize("depth", [9, 18])
@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32), (3, 64)])
def test_any_small_image(depth, channels, size):
    model = ResNet(channels, 7, depth, width=8, dropout=0.1)
    images = torch.randint(0, 256, (4, channels, size, size), dtype=torch.uint8)
    logits = model(images)
    assert logits.shape == (4, 7)
    logits.sum().backward()
    held = [id(p) for group in model.layer_groups() for p in group.parameters()]
    assert sorted(held) == sorted(id(p) for p in model.parameters())


def test_another_depth_is_refused():
    with pytest.raises(UserError, match=r"model\.depth=50"):
        ResNet(3, 10, 50)
