from __future__ import annotations

import torch

from mmdl.models.layers.weight_standardized_conv import WeightStandardizedConv2d


def test_filters_have_zero_mean_and_the_gain_as_norm():
    convolution = WeightStandardizedConv2d(4, 6, 3)
    weight = convolution.standardized_weight().flatten(1)
    torch.testing.assert_close(weight.mean(1), torch.zeros(6), atol=1e-6, rtol=0)
    torch.testing.assert_close(weight.norm(dim=1), convolution.gain.flatten(), rtol=1e-4, atol=0)


def test_a_constant_image_gives_the_bias_up_to_the_border():
    constant = torch.full((1, 3, 8, 8), 7.0)
    replicated = WeightStandardizedConv2d(3, 5, 3, stride=2, padding_mode="replicate")(constant)
    assert replicated.shape == (1, 5, 4, 4)
    assert replicated.abs().max() < 1e-4
    assert WeightStandardizedConv2d(3, 5, 3)(constant)[:, :, 1:-1, 1:-1].abs().max() < 1e-4


def test_the_scale_of_the_weight_is_moot():
    convolution, x = WeightStandardizedConv2d(3, 5, 3), torch.randn(2, 3, 6, 6)
    before = convolution(x)
    convolution.weight.data.mul_(3)
    torch.testing.assert_close(convolution(x), before, rtol=1e-4, atol=1e-4)
