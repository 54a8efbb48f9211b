"""Batches of random images."""

import pytest
import torch


def make_batch(count=12, channels=3, height=16, width=16, classes=5, seed=0, dtype=torch.uint8):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, channels, height, width), generator=generator).to(dtype)
    return {
        "rows": torch.arange(count) * 7 + 3,
        "images": images,
        "labels": torch.arange(count) % classes,
    }


@pytest.fixture(name="make_batch")
def make_batch_fixture():
    return make_batch


@pytest.fixture
def apply():
    """`apply(step, batch)` as the data module does it."""
    from mmdl.data.augment.base import augmented

    def run(step, batch, seed=0, epoch=0, progress=0.25, num_classes=5):
        steps = step if isinstance(step, list) else [step]
        return augmented(batch, steps, seed=seed, epoch=epoch, progress=progress, num_classes=num_classes)

    return run
