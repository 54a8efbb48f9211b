import torch
from torch import nn

from mmdl.callbacks.averaging import follow, state_tensors


def test_a_copy_follows_in_place_with_parameters_and_buffers():
    model, copy = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    model.weight.data.fill_(2)
    model(torch.randn(4, 3, 2, 2))
    places = [tensor.data_ptr() for tensor in state_tensors(copy)]
    follow(copy, model)
    assert [tensor.data_ptr() for tensor in state_tensors(copy)] == places
    assert all(
        torch.equal(one, other) for one, other in zip(state_tensors(copy), state_tensors(model), strict=True)
    )
    assert copy.num_batches_tracked == 1
