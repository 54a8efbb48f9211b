import json

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from mmdl.checking import augmentation_errors, batch_errors, first_batch, measure
from mmdl.data.augment.crop import Crop
from mmdl.data.augment.mixup import Mixup
from mmdl.data.augment.progressive_resize import ProgressiveResize
from mmdl.data.augment.resized_crop import ResizedCrop
from mmdl.data.mnist import mnist, write_fixture
from mmdl.models.cnn import CNN
from mmdl.tasks.classification import ClassificationTask


@pytest.fixture
def data_with(tmp_path):
    def make(**steps):
        write_fixture(tmp_path / "mnist")
        data = mnist(str(tmp_path / "mnist"), augment=steps)
        data.prepare_data()
        data.setup()
        return data

    return make


def errors(data, **model):
    return batch_errors(data, CNN(1, 28, 10, channels=(4,), **model), first_batch(data))


def test_images_that_change_their_size_need_a_model_that_takes_any(data_with):
    data = data_with(crop=Crop(), progressive_resize=ProgressiveResize(start=0.5, until=0.8))
    [error] = errors(data)
    assert "data.augment.progressive_resize makes images of 16 to 24 pixels" in error.given
    assert "28 x 28" in error.given
    assert "global_pooling=true" in error.fix
    assert errors(data, global_pooling=True) == []


def test_a_step_that_brings_images_back_to_their_size_is_fine(data_with):
    assert errors(data_with(small=ResizedCrop(20), crop=Crop(2), back=ResizedCrop(28))) == []
    [error] = errors(data_with(resized_crop=ResizedCrop(20)))
    assert "resized_crop makes images of 20 pixels" in error.given


def test_an_error_of_a_step_is_found_before_training(data_with):
    [error] = errors(data_with(crop=Crop(30)))
    assert "crop.padding=30" in error.given
    assert errors(data_with(crop=Crop(30, "edge"), mixup=Mixup())) == []


def test_data_without_augmentation_is_passed_over():
    assert augmentation_errors(object(), 28, {"images": torch.zeros(1, 1, 28, 28)}) == []


@pytest.mark.parametrize(
    ("freeze", "said"),
    [
        ("[]", None),
        ("[image_tower*]", None),
        ("[image_tower*,text_tower*]", "not even a projection learns"),
        ("[image_tower.s*,text_tower.e*,text_tower.g*]", "only the projections learn"),
    ],
)
def test_both_towers_frozen_is_said_before_training(run_command, capsys, freeze, said):
    run_command("check", "+experiment=clip", "quick=true", "evaluator=[]", f"task.freeze={freeze}")
    lines = [line for line in capsys.readouterr().out.splitlines() if "both towers are frozen" in line]
    assert len(lines) == (said is not None)
    assert said is None or said in lines[0]


class Net(nn.Module):
    """Two layers and, between them, attention over the two halves of 8 features as (2 tokens, 4)."""

    def __init__(self, attention=False):
        super().__init__()
        self.first, self.second, self.attention = nn.Linear(784, 8), nn.Linear(8, 10), attention
        self.register_buffer("seen", torch.zeros(()))

    def layer_groups(self):
        return []

    def forward(self, images):
        self.seen += self.training
        hidden = self.first(images.flatten(1).float())
        if self.attention:
            tokens = hidden.view(-1, 1, 2, 4)
            hidden = scaled_dot_product_attention(tokens, tokens, tokens).flatten(1)
        return self.second(hidden)


PLAIN, LAST, ATTENTION = 2 * 784 * 8, 2 * 8 * 10, 2 * (2 * 2 * 2 * 4)
"""Operations of a sample: of the first and the last layer, and of the two products of attention."""


@pytest.mark.parametrize(
    ("frozen", "attention", "expected"),
    [
        # the images need no gradient: twice the forward pass for the first layer, three times for the others
        ("", False, 2 * PLAIN + 3 * LAST),
        ("first", False, PLAIN + 2 * LAST),
        ("second", False, 2 * PLAIN + 2 * LAST),
        ("", True, 2 * PLAIN + 3 * LAST + 3 * ATTENTION),
    ],
)
def test_training_flops_by_hand(data_with, frozen, attention, expected):
    model = Net(attention)
    if frozen:
        getattr(model, frozen).requires_grad_(False)
    task = ClassificationTask(model, None, None)
    before = torch.get_rng_state()
    cost = measure(task, data_with())
    assert cost.training_flops == expected
    assert cost.flops_per_sample == PLAIN + LAST + (ATTENTION if attention else 0)
    assert model.seen == 0
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), before)


def test_a_training_in_parts_does_not_count_what_is_computed_twice(run_command, tmp_path):
    flops = []
    for part in ("null", "4"):
        run_command(
            *(
                "train",
                "+experiment=clip",
                "quick=true",
                "evaluator=[]",
                "logger=none",
                f"run.root={tmp_path}",
            ),
            *(f"run.id=r{part}", f"task.micro_batch={part}", "callbacks=[default]", "trainer.max_steps=1"),
        )
        rows = [
            json.loads(line) for line in (tmp_path / f"r{part}" / "metrics.jsonl").read_text().splitlines()
        ]
        flops.append(next(row["train/flops"] for row in rows if "train/flops" in row))
    assert flops[1] == pytest.approx(flops[0], rel=0.1), "but for the padding of other captions"
