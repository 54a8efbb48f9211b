import pytest
import torch
from torch import nn

from mmdl.errors import UserError
from mmdl.models.cnn import CNN


def cnn(**options):
    return CNN(**{"in_channels": 1, "image_size": 28, "num_classes": 10, **options})


def names(model):
    return [name for name, _ in model.layers.named_children()]


def test_the_layers_are_the_course_pipeline_in_its_order():
    assert names(cnn(norm="none")) == [
        "normalize",
        *("convolution1", "relu1", "pooling1"),
        *("convolution2", "relu2", "pooling2"),
        "flatten",
        *("fully_connected1", "relu_fully_connected1", "fully_connected2"),
    ]


def test_known_sizes():
    model = cnn(channels=[8, 16, 32], depth=[1, 2, 1], kernel=[5, 3, 3], hidden=[64, 20], dropout=0.1)
    # 28 -> 14 -> 7 -> 3
    assert model.layers.fully_connected1.in_features == 32 * 3 * 3
    convolutions = [layer for layer in model.layers if isinstance(layer, nn.Conv2d)]
    assert [c.kernel_size[0] for c in convolutions] == [5, 3, 3, 3]
    assert [c.out_channels for c in convolutions] == [8, 16, 16, 32]
    expected = (25 * 8) + (9 * 8 * 16) + (9 * 16 * 16) + (9 * 16 * 32) + 2 * (8 + 16 + 16 + 32)
    expected += (288 * 64 + 64) + (64 * 20 + 20) + (20 * 10 + 10)
    assert sum(p.numel() for p in model.parameters()) == expected


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("size", [8, 28, 33])
@pytest.mark.parametrize("norm", ["batch", "group", "none"])
def test_any_size_and_channels(channels, size, norm):
    model = cnn(in_channels=channels, image_size=size, norm=norm, pooling_kind="average")
    images = torch.randint(0, 256, (4, channels, size, size), dtype=torch.uint8)
    logits = model(images)
    assert logits.shape == (4, 10)
    logits.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_global_pooling_takes_images_of_any_size():
    model = cnn(global_pooling=True).eval()
    assert model.image_size is None
    for size in (28, 20, 40):
        assert model(torch.zeros(2, 1, size, size)).shape == (2, 10)


def test_layer_groups_hold_every_parameter_once():
    model = cnn(dropout=0.2)
    held = [id(p) for group in model.layer_groups() for p in group.parameters()]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    assert [group.name for group in model.layer_groups()] == [
        "convolution1",
        "convolution2",
        "fully_connected1",
        "fully_connected2",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "bach"}, "model.norm='bach'"),
        ({"pooling_kind": "mean"}, "model.pooling_kind"),
        ({"dropout": 1.0}, "model.dropout"),
        ({"kernel": 4}, "is even"),
        ({"depth": [1, 2, 3]}, "2 stages.*3 values"),
        ({"image_size": 8, "channels": [4] * 4}, "stage 4 pools 2 x 2 pixels, and 1 x 1 are left of 8"),
    ],
)
def test_bad_settings_are_one_clear_error(options, message):
    with pytest.raises(UserError, match=message) as caught:
        cnn(**options)
    assert caught.value.valid
