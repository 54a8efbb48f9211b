import numpy as np
import torch
from torch import nn

from mmdl.inspection.attribution import grad_cam, grad_cam_layer, saliency
from mmdl.inspection.trace import trace
from mmdl.models.timm import TimmClassifier


class Tiny(nn.Module):
    """Two filters of 1 x 1 on two channels, ReLU, average over all positions, two classes: all by hand."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2, 2, 1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)
        )
        with torch.no_grad():
            self.layers[0].weight[:] = torch.tensor([[1.0, -1.0], [0.5, 2.0]]).view(2, 2, 1, 1)
            self.layers[4].weight[:] = torch.tensor([[1.0, -3.0], [-2.0, 1.0]])

    def forward(self, images):
        return self.layers(images.float())


IMAGE = torch.tensor([[[[4.0, 1.0], [0.0, 2.0]], [[1.0, 3.0], [5.0, 2.0]]]])
FIRST = np.array([[3.0, -2.0], [-5.0, 0.0]])  # channel 0 minus channel 1
SECOND = np.array([[4.0, 6.5], [10.0, 5.0]])  # half of channel 0 plus twice channel 1


def test_saliency_by_hand():
    found = saliency(trace(Tiny(), IMAGE), torch.tensor([0]))
    # score = mean(relu(first)) - 3 mean(relu(second)); relu passes the first map at one position only
    on = (FIRST > 0) / 4
    red, green = on * 1.0 - 3 * 0.5 / 4, on * -1.0 - 3 * 2.0 / 4
    np.testing.assert_allclose(found[0].numpy(), np.maximum(np.abs(red), np.abs(green)), rtol=1e-6)


def test_grad_cam_by_hand():
    passed = trace(Tiny(), IMAGE)
    assert grad_cam_layer(passed).kind == "ReLU"
    found = grad_cam(passed, torch.tensor([1]))
    weights = np.array([-2.0, 1.0]) / 4  # d score / d map, the same at each position
    np.testing.assert_allclose(found.weights[0].numpy(), weights, rtol=1e-6)
    expected = np.maximum(0, weights[0] * np.maximum(FIRST, 0) + weights[1] * np.maximum(SECOND, 0))
    np.testing.assert_allclose(found.coarse[0].numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(found.heat[0].numpy(), expected, rtol=1e-6)  # the maps have the image's size
    other = grad_cam(passed, torch.tensor([0]))
    assert other.coarse[0, 1, 0] == 0  # only the map that speaks against class 0 is on there


def test_each_image_of_a_batch_has_its_own(cnn, image):
    model = cnn()
    images = torch.stack([image, image.flip(2), 255 - image])
    classes = torch.tensor([0, 3, 1])
    passed = trace(model, images)
    together = saliency(passed, classes), grad_cam(passed, classes)
    for number in range(3):
        alone = trace(model, images[number : number + 1])
        torch.testing.assert_close(saliency(alone, classes[number : number + 1])[0], together[0][number])
        torch.testing.assert_close(
            grad_cam(alone, classes[number : number + 1]).heat[0], together[1].heat[number]
        )


def test_the_last_maps_before_the_pooling_are_weighted(cnn, image):
    for position in ("convolution", "stage"):
        passed = trace(cnn(norm_position=position), image[None])
        assert grad_cam_layer(passed).name == "relu2"
    found = grad_cam(passed, torch.tensor([2]))
    assert (found.layer, tuple(found.coarse.shape), tuple(found.heat.shape)) == (
        "relu2",
        (1, 6, 6),
        (1, 12, 12),
    )


def test_it_works_where_a_validation_has_switched_gradients_off(cnn, image):
    with torch.no_grad():
        passed = trace(cnn(), image[None])
        assert saliency(passed, torch.tensor([0])).max() > 0


def test_a_network_without_maps_has_none():
    passed = trace(
        TimmClassifier("vit_tiny_patch16_224", 3, 32, 4), torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    )
    assert grad_cam(passed, torch.tensor([0])) is None
