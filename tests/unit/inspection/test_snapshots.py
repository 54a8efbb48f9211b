import torch

from mmdl.inspection.snapshots import first_stages, snapshots
from mmdl.inspection.trace import trace
from mmdl.models.resnet import ResNet
from mmdl.models.timm import TimmClassifier


def test_the_first_convolution_relu_and_pooling_are_drawn(cnn, image):
    assert [layer.name for layer in first_stages(trace(cnn(), image[None]))] == [
        "convolution1",
        "relu1",
        "pooling1",
    ]
    resnet = ResNet(3, 4, 9, width=2)
    assert [layer.name for layer in first_stages(trace(resnet, image[None]))] == ["stem", "stage1", "stage2"]


def test_a_picture_for_each_image_and_the_model_untouched(cnn, image):
    model = cnn(dropout=0.5)
    random, modes = torch.get_rng_state(), [module.training for module in model.modules()]
    with torch.no_grad():
        files = snapshots(model, torch.stack([image, 255 - image]), [0, 3], ["a", "b", "c", "d"], "epoch 1")
    assert len(files) == 2
    assert files[0] != files[1]
    assert all(content.startswith(b"\x89PNG") for content in files)
    assert torch.equal(random, torch.get_rng_state())
    assert modes == [module.training for module in model.modules()]
    assert all(p.grad is None for p in model.parameters())


def test_a_network_without_maps_gets_a_picture_too():
    model = TimmClassifier("vit_tiny_patch16_224", 3, 32, 4)
    [content] = snapshots(
        model, torch.zeros(1, 3, 32, 32, dtype=torch.uint8), [0], ["a", "b", "c", "d"], "epoch 1"
    )
    assert content.startswith(b"\x89PNG")
