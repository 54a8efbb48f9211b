import numpy as np
import pytest
import torch
from torch import nn

from mmdl.callbacks.swa import SWA
from mmdl.data.augment.base import augmented
from mmdl.data.augment.crop import Crop
from mmdl.errors import UserError


def mean_of(epochs):
    return {name: torch.stack([w[name].double() for w in epochs]).mean(0) for name in epochs[0]}


def is_statistic(name):
    return "running" in name or "tracked" in name


def test_the_average_is_the_mean_of_the_epochs_from_the_start_on(train):
    run = train(SWA(start=0.5), epochs=4)
    epochs = run.recorder.epochs  # ends at 0.25, 0.5, 0.75 and 1 of the training
    final = run.task.state_dict()
    for name, value in mean_of(epochs[1:]).items():
        if not is_statistic(name):
            assert torch.allclose(final[name].double(), value, atol=1e-6), name
    for number, validated in enumerate(run.recorder.validated):
        expected = mean_of(epochs[1 : number + 1]) if number else epochs[0]
        for name, value in expected.items():
            if not is_statistic(name):
                assert torch.allclose(validated[name].double(), value.double(), atol=1e-6), (number, name)


def test_training_goes_on_with_the_weights_themselves(train):
    averaged, plain = train(SWA(start=0), epochs=3), train(SWA(start=0.99), epochs=3)
    for one, other in zip(averaged.recorder.steps, plain.recorder.steps, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("batches", [2, 1000])
@pytest.mark.parametrize("augment", [None, {"crop": Crop(3)}], ids=["plain", "augmented"])
def test_statistics_are_the_means_over_training_batches(batches, augment, train):
    run = train(SWA(start=0.5, batch_norm_batches=batches), epochs=2, augment=augment)
    layers = run.task.model.layers.eval()
    data = run.data
    order = data.sampler("train")
    order.set_epoch(1)
    used = []
    for rows in list(order)[:batches]:
        batch = data.dataset("train")[np.asarray(rows)]
        if augment:
            batch = augmented(batch, data.augment, seed=1, epoch=1, progress=1.0, num_classes=10)
        used.append(batch["images"])
    with torch.no_grad():
        first = [nn.Sequential(layers.normalize, layers.convolution1)(images).double() for images in used]
    mean = torch.stack([x.mean((0, 2, 3)) for x in first]).mean(0)
    variance = torch.stack([x.var((0, 2, 3)) for x in first]).mean(0)
    # Batch norm sums 25,000 values of a channel in float32.
    assert torch.allclose(layers.norm1.running_mean.double(), mean, rtol=1e-3)
    assert torch.allclose(layers.norm1.running_var.double(), variance, rtol=1e-3)
    before = run.recorder.epochs[-1]["model.layers.norm1.running_mean"]
    assert not torch.allclose(before.double(), mean, rtol=3e-3)
    assert layers.norm1.momentum == 0.1
    assert layers.norm1.num_batches_tracked == len(used)


def test_a_model_without_batch_norm_is_averaged_too(train):
    run = train(SWA(start=0), epochs=2, norm="group")
    for name, value in mean_of(run.recorder.epochs).items():
        assert torch.allclose(run.task.state_dict()[name].double(), value, atol=1e-6), name


def test_the_last_epoch_always_counts(train):
    run = train(SWA(start=0.999), epochs=2, norm="group")
    final = run.task.state_dict()
    assert all(torch.equal(final[name], value) for name, value in run.recorder.epochs[-1].items())


def test_settings_that_are_not_valid():
    with pytest.raises(UserError, match=r"callbacks.swa.start=1"):
        SWA(start=1)
    with pytest.raises(UserError, match=r"batch_norm_batches=0"):
        SWA(batch_norm_batches=0)
