"""What every augmentation in conf/augment must hold."""

import pytest
import torch

from mmdl.cli.app import compose
from mmdl.cli.catalog import catalog
from mmdl.data.augment.fill import tell_mean
from mmdl.instantiate import instantiate

MIXES = {"mixup", "cutmix"}
"""What an image becomes depends on its batch."""

SIZES = {"progressive_resize"}
"""Changes the size of the images."""

NAMES = sorted(catalog("augment"))


def build(name):
    cfg = compose("train", ["data=mnist", f"augment@data.augment=[{name}]"])
    [step] = instantiate(cfg.data.augment).values()
    tell_mean([step], [0.4, 0.5, 0.6])
    return step


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture(params=[(1, torch.uint8), (3, torch.uint8), (3, torch.float32)], ids=str)
def batch(request, make_batch):
    channels, dtype = request.param
    return make_batch(channels=channels, dtype=dtype)


def step_for(name, batch):
    step = build(name)
    fill = getattr(step, "fill", None)
    if getattr(fill, "mean", None) is not None:
        fill.mean = fill.mean[: batch["images"].shape[1]]
    return step


def test_the_file_and_the_class_have_the_same_stem(name):
    assert type(build(name)).__module__ == f"mmdl.data.augment.{name}"


def test_an_image_depends_on_seed_epoch_and_row_only(name, batch, apply):
    if name in MIXES:
        pytest.skip("what an image becomes depends on its partner")
    step = step_for(name, batch)
    whole = apply(step, batch, seed=3, epoch=2)["images"]
    order = torch.tensor([5, 0, 11, 3])
    some = apply(step, {key: value[order] for key, value in batch.items()}, seed=3, epoch=2)["images"]
    assert torch.equal(some, whole[order])
    for place in (0, 7):
        alone = {key: value[place : place + 1] for key, value in batch.items()}
        assert torch.equal(apply(step, alone, seed=3, epoch=2)["images"][0], whole[place])


def test_it_is_another_one_in_another_epoch_and_with_another_seed(name, make_batch, apply):
    if name in SIZES:
        pytest.skip("is a function of the progress")
    batch = make_batch(count=40)
    step = step_for(name, batch)
    first = apply(step, batch, seed=0, epoch=0)["images"]
    assert torch.equal(apply(step, batch, seed=0, epoch=0)["images"], first)
    assert not torch.equal(apply(step, batch, seed=0, epoch=1)["images"], first)
    assert not torch.equal(apply(step, batch, seed=1, epoch=0)["images"], first)


def test_what_was_given_stays_as_it_was(name, batch, apply):
    before = {key: value.clone() for key, value in batch.items()}
    after = apply(step_for(name, batch), batch)
    assert batch.keys() == before.keys()
    assert all(torch.equal(batch[key], value) for key, value in before.items())
    assert torch.equal(after["rows"], batch["rows"])
    assert torch.equal(after["labels"], batch["labels"])


def test_images_stay_images(name, batch, apply):
    step = step_for(name, batch)
    after = apply(step, batch)["images"]
    assert after.dtype in (torch.uint8, torch.float32)
    assert after.shape[:2] == batch["images"].shape[:2]
    assert name in SIZES or after.shape == batch["images"].shape
    assert after.float().min() >= 0
    assert after.float().max() <= 255
    assert torch.isfinite(after.float()).all()
    assert not torch.equal(after.float(), batch["images"].float())


def test_images_need_not_be_squares(name, make_batch, apply):
    batch = make_batch(height=12, width=20)
    after = apply(step_for(name, batch), batch)["images"]
    assert name in SIZES or after.shape == batch["images"].shape


def test_nothing_is_taken_from_the_global_random_state(name, batch, apply):
    state = torch.get_rng_state()
    apply(step_for(name, batch), batch)
    assert torch.equal(torch.get_rng_state(), state)


def test_steps_are_applied_in_their_order(make_batch, apply):
    batch = make_batch(count=4)
    log = []

    def step(name):
        def call(given, draws, progress, num_classes):
            log.append((name, progress, num_classes))
            return {**given, "images": given["images"] + 1}

        return call

    after = apply([step("a"), step("b")], batch, progress=0.5, num_classes=9)
    assert log == [("a", 0.5, 9), ("b", 0.5, 9)]
    assert torch.equal(after["images"], batch["images"] + 2)
