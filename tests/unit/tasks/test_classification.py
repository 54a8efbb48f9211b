import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, log_softmax, one_hot, pad

from mmdl.errors import UserError
from mmdl.models.cnn import CNN
from mmdl.tasks.classification import ClassificationTask

CLASSES = 5


def make_task(**options):
    torch.manual_seed(0)
    model = CNN(3, 8, CLASSES, channels=(4, 8), hidden=(16,), norm="group")
    return ClassificationTask(model, torch.optim.SGD, None, **options)


def make_batch(count=12):
    generator = torch.Generator().manual_seed(1)
    return {
        "rows": torch.arange(count),
        "images": torch.randint(0, 256, (count, 3, 8, 8), generator=generator, dtype=torch.uint8),
        "labels": torch.randint(0, CLASSES, (count,), generator=generator),
    }


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_label_smoothing_by_hand(smoothing):
    task, batch = make_task(label_smoothing=smoothing), make_batch()
    loss = task.losses(batch)["loss"]
    logits = task.model(batch["images"])
    assert torch.allclose(loss, cross_entropy(logits, batch["labels"], label_smoothing=smoothing))
    wanted = (1 - smoothing) * one_hot(batch["labels"], CLASSES) + smoothing / CLASSES
    by_hand = -(wanted * log_softmax(logits, dim=1)).sum(1).mean()
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_soft_targets_go_before_the_labels_and_are_smoothed_too(smoothing):
    task, batch = make_task(label_smoothing=smoothing), make_batch()
    share = torch.linspace(0, 1, 12).unsqueeze(1)
    own = one_hot(batch["labels"], CLASSES).float()
    targets = share * own + (1 - share) * own.flip(0)
    loss = task.losses({**batch, "targets": targets})["loss"]
    logs = log_softmax(task.model(batch["images"]), dim=1)
    wanted = (1 - smoothing) * targets + smoothing / CLASSES
    assert loss.item() == pytest.approx(-(wanted * logs).sum(1).mean().item(), rel=1e-5)
    # mixing targets is mixing losses
    losses = torch.stack([-(logs * t).sum(1) for t in (own, own.flip(0))], dim=1)
    if not smoothing:
        mixed = share[:, 0] * losses[:, 0] + (1 - share[:, 0]) * losses[:, 1]
        assert loss.item() == pytest.approx(mixed.mean().item(), rel=1e-5)


def test_targets_that_name_one_class_equal_its_label():
    task, batch = make_task(label_smoothing=0.2), make_batch()
    hard = {**batch, "targets": one_hot(batch["labels"], CLASSES).float()}
    assert torch.allclose(task.losses(batch)["loss"], task.losses(hard)["loss"])


def test_evaluation_is_not_smoothed():
    task, batch = make_task(label_smoothing=0.3).eval(), make_batch()
    outputs, loss = task.evaluate_batch(batch)
    logits = task.model(batch["images"])
    assert torch.allclose(loss, cross_entropy(logits, batch["labels"]))
    assert torch.allclose(outputs["probabilities"], logits.softmax(1))
    assert torch.equal(outputs["labels"], batch["labels"])
    without = {name: batch[name] for name in ("rows", "images")}
    outputs, loss = task.evaluate_batch(without)
    assert loss is None
    assert "labels" not in outputs


def test_flipped_views_are_averaged():
    task, images = make_task(test_time_augmentation="flip").eval(), make_batch()["images"]
    expected = (task.model(images) + task.model(images.flip(3))) / 2
    assert torch.allclose(task.logits(images), expected, atol=1e-6)
    assert torch.allclose(task.logits(images.flip(3)), task.logits(images), atol=1e-6)
    assert not torch.allclose(task.model(images), expected, atol=1e-3)


def test_flipped_and_moved_views_are_averaged():
    task, images = make_task(test_time_augmentation="flip_translate").eval(), make_batch()["images"]
    padded = pad(images.float(), (1, 1, 1, 1), mode="reflect")
    views = {images.float(): 0.25, padded[:, :, 0:8, 0:8]: 0.125, padded[:, :, 2:10, 2:10]: 0.125}
    expected = sum(weight * (task.model(view) + task.model(view.flip(3))) for view, weight in views.items())
    assert torch.allclose(task.logits(images), expected, atol=1e-5)


def test_moved_views_are_averaged_without_a_mirror():
    task, images = make_task(test_time_augmentation="translate").eval(), make_batch()["images"]
    padded = pad(images.float(), (1, 1, 1, 1), mode="reflect")
    corners = [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]
    views = [task.model(padded[:, :, row : row + 8, column : column + 8]) for row, column in corners]
    assert torch.allclose(task.logits(images), sum(views) / 5, atol=1e-5)


def test_training_sees_no_views():
    batch = make_batch()
    plain, flipping = make_task(), make_task(test_time_augmentation="flip")
    assert torch.equal(plain.losses(batch)["loss"], flipping.losses(batch)["loss"])


def test_the_loss_is_computed_in_float32():
    class Half(nn.Module):
        def forward(self, images):
            return torch.full((len(images), CLASSES), 3.0, dtype=torch.bfloat16)

    task = make_task()
    task.model = Half()
    assert task.losses(make_batch())["loss"].dtype == torch.float32
    assert task.logits(make_batch()["images"]).dtype == torch.float32


def test_settings_that_are_not_valid():
    with pytest.raises(UserError, match=r"label_smoothing=1"):
        make_task(label_smoothing=1)
    with pytest.raises(UserError, match=r"test_time_augmentation='flop'") as caught:
        make_task(test_time_augmentation="flop")
    assert caught.value.valid.startswith("flip")
