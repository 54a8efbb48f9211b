import copy

import timm.layers
import torch
import torch.distributed as dist
from torch import nn

from mmdl.models.layers.joined_batch_norm import joined_batch_norm
from mmdl.strategies.batch_norms import JoinedBatchNorms


def model():
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        timm.layers.BatchNormAct2d(8),
        nn.Flatten(),
        nn.BatchNorm1d(128),
    )
    return nn.Sequential(*layers).double()


def passed(network, images):
    values = network(images)
    values.square().sum().backward()
    return [values, *[p.grad for p in network.parameters()], *[b.double() for b in network.buffers()]]


def test_one_rank_has_the_values_gradients_and_statistics_of_batch_norm(tmp_path):
    images = torch.randn(5, 3, 6, 6, dtype=torch.float64)
    plain, joined = model(), model()
    expected = passed(plain, images)
    names = [type(layer) for layer in joined.modules()]
    dist.init_process_group("gloo", store=dist.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    try:
        found = passed(JoinedBatchNorms().apply(joined), images)
    finally:
        dist.destroy_process_group()
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
    assert [type(layer) for layer in joined.modules()] == names


def test_evaluation_and_frozen_layers_are_left_as_they_are():
    network = JoinedBatchNorms().apply(model().eval())
    images = torch.randn(5, 3, 6, 6, dtype=torch.float64)
    assert torch.equal(network(images), model().eval()(images))


def test_it_is_undone():
    network = model()
    before = copy.deepcopy(network)
    JoinedBatchNorms().revert(JoinedBatchNorms().apply(network))
    images = torch.randn(5, 3, 6, 6, dtype=torch.float64)
    assert torch.equal(network(images), before(images))


def test_an_average_of_all_batches_is_kept_where_there_is_no_momentum(tmp_path):
    plain, joined = (nn.BatchNorm1d(2, momentum=None, affine=False) for _ in range(2))
    dist.init_process_group("gloo", store=dist.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    try:
        for seed in range(3):
            values = torch.randn(4, 2, generator=torch.Generator().manual_seed(seed))
            torch.testing.assert_close(joined_batch_norm(joined, values), plain(values))
    finally:
        dist.destroy_process_group()
    torch.testing.assert_close(joined.running_var, plain.running_var)
